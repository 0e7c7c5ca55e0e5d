"""Initial weights, which depend only on the seed and the parameter's name."""

import math
from typing import Any

import torch
from torch import Generator, Tensor, nn

from wsnet.config.architectures import ClassifierInit, ConvInit
from wsnet.config.seeding import derive_seed
from wsnet.layers.own_norm import is_own
from wsnet.layers.random_layers import LayerRandomness
from wsnet.layers.weights import NormalizedConv2d, filter_norms

__all__ = ["draw_as", "initialize", "start_at_zero"]


@torch.no_grad()
def initialize(model: nn.Module, seed: int) -> None:
    """Draw every parameter anew and reset every buffer, in place.

    Each parameter has its own generator, seeded by (seed, "init", name), and is drawn on the CPU in float32, in the
    order of its indices. So the weights do not depend on the norm, the order in which the model was built, the device
    or the memory format: settings of a sweep start from the same weights in every layer that they share.

    * Convolutions, `fan_out`: normal with variance 2 / fan_out (He et al. 2015, "backward"; fan_out = out_channels *
      kernel area, also where grouped, as in torchvision); biases 0. `fan_in`: the same with fan_in = in_channels /
      groups * kernel area. `uniform`, torch's default: weights and biases uniform in +-1 / sqrt(fan_in).
    * Linear layers, `uniform`, torch's default: weights and biases uniform in +-1 / sqrt(fan_in). `normal`: standard
      deviation 0.01, biases 0 (Simonyan & Zisserman 2015, section 3.1).
    * Norms: weight 1, bias 0; `reset_running_stats()` where the norm has it.
    * The gain of a normalized filter: the norm of its direction, so that it starts equal to the plain filter.
    * Parameters in a module's `initial_values` (name to number): that number, which overrides every other rule.
    * Parameters of a user-defined norm: as its constructor set them, then its `reset_parameters()` if it has one.
    * A model with a function `drawn_anew` from a seed to a state (torchvision's networks): that state, and no rule.

    Args:
        model: any module of convolutions, linear layers, norms and activations.
        seed: the trial's seed.
    """
    LayerRandomness(model, seed).set_step(0)
    drawn_anew = getattr(model, "drawn_anew", None)
    if drawn_anew is not None:
        model.load_state_dict(drawn_anew(seed))
        return
    own = [path for path, module in model.named_modules() if is_own(module)]
    for path, module in model.named_modules():
        if any(path == other or path.startswith(f"{other}.") for other in own):
            _reset_own(path, module, seed)
            continue
        for name, parameter in module.named_parameters(recurse=False):
            generator = Generator().manual_seed(derive_seed(seed, "init", f"{path}.{name}" if path else name))
            parameter.copy_(_draw(module, name, parameter, generator))
        if hasattr(module, "reset_running_stats"):
            module.reset_running_stats()


def draw_as(module: nn.Module, init: ConvInit | ClassifierInit) -> None:
    """Have `initialize` draw a convolution's or a linear layer's weights from this distribution."""
    module.init = init  # type: ignore[assignment]


def start_at_zero(module: nn.Module, name: str) -> None:
    """Have `initialize` set a module's parameter to zero."""
    module.initial_values = {**getattr(module, "initial_values", {}), name: 0.0}  # type: ignore[assignment]


def _reset_own(path: str, module: Any, seed: int) -> None:
    """Let a user-defined norm, or a layer in one, set its initial values, with torch seeded by seed and path."""
    if hasattr(module, "reset_parameters"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "init", path))
            module.reset_parameters()
    if hasattr(module, "reset_running_stats"):
        module.reset_running_stats()
    for name, value in getattr(module, "initial_values", {}).items():
        module.get_parameter(name).fill_(value)


def _draw(module: nn.Module, name: str, parameter: Tensor, generator: Generator) -> Tensor:
    value = torch.zeros(parameter.shape)
    initial_values = getattr(module, "initial_values", {})
    if name in initial_values:
        return value.fill_(initial_values[name])
    if isinstance(module, NormalizedConv2d) and name == "g":  # `weight` comes before `g` and has been drawn by now.
        return filter_norms(module.weight).cpu()
    if isinstance(module, nn.Conv2d):
        init: ConvInit = getattr(module, "init", "fan_out")
        if init == "uniform":
            return _uniform(value, module.weight[0].numel(), generator)
        return nn.init.kaiming_normal_(value, mode=init, generator=generator) if name == "weight" else value
    if isinstance(module, nn.Linear):
        if getattr(module, "init", "uniform") == "uniform":
            return _uniform(value, module.in_features, generator)
        return value.normal_(0, 0.01, generator=generator) if name == "weight" else value
    # Only norms are left. A parameter of another name has no rule, and must not silently begin at zero.
    assert name in ("weight", "bias"), f"no rule for the initial value of {name!r} in {type(module).__name__}"
    return value.fill_(1) if name == "weight" else value


def _uniform(value: Tensor, fan_in: int, generator: Generator) -> Tensor:
    bound = 1 / math.sqrt(fan_in)
    return value.uniform_(-bound, bound, generator=generator)
