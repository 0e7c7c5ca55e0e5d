"""Initial weights: from the seed and the parameter's name alone."""

import math

import torch
from torch import Generator, Tensor, nn

from wsnet.config.seeding import derive_seed
from wsnet.layers.normalized import NormalizedConv2d, filter_norms
from wsnet.layers.randomness import LayerRandomness

__all__ = ["initialize", "start_at_zero"]


@torch.no_grad()
def initialize(model: nn.Module, seed: int) -> None:
    """Draw every parameter anew and reset every buffer, in place.

    Each parameter has a generator of its own, seeded by (seed, "init", name), and is drawn on the CPU in float32 and in
    the order of its indices. So the weights depend neither on the norm, nor on the order in which the model was built,
    nor on the device or memory format: the settings of a sweep start alike wherever they have the same layer.

    * Convolutions: normal with variance 2 / fan_out (He et al. 2015, "backward"; fan_out = out_channels * kernel area,
      also where grouped, as in torchvision); biases 0.
    * Linear layers, torch's default: weights and biases uniform in +-1 / sqrt(fan_in).
    * Norms: weight 1, bias 0; `reset_running_stats()` where the norm has it.
    * The gain of a normalized filter: its norm, so that it begins as the plain filter does.
    * Parameters in a module's own `initial_values` (name to number): that number, before any other rule.

    Args:
        model: any module of convolutions, linear layers, norms and activations.
        seed: the trial's seed.
    """
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            generator = Generator().manual_seed(derive_seed(seed, "init", f"{path}.{name}" if path else name))
            parameter.copy_(_draw(module, name, parameter, generator))
        if hasattr(module, "reset_running_stats"):
            module.reset_running_stats()
    LayerRandomness(model, seed).set_step(0)


def start_at_zero(module: nn.Module, name: str) -> None:
    """Have `initialize` begin a module's parameter at zero."""
    module.initial_values = {**getattr(module, "initial_values", {}), name: 0.0}  # type: ignore[assignment]


def _draw(module: nn.Module, name: str, parameter: Tensor, generator: Generator) -> Tensor:
    value = torch.zeros(parameter.shape)
    initial_values = getattr(module, "initial_values", {})
    if name in initial_values:
        return value.fill_(initial_values[name])
    if isinstance(module, NormalizedConv2d) and name == "g":  # Named after `weight`, which is drawn by now.
        return filter_norms(module.weight).cpu()
    if isinstance(module, nn.Conv2d):
        return nn.init.kaiming_normal_(value, mode="fan_out", generator=generator) if name == "weight" else value
    if isinstance(module, nn.Linear):
        bound = 1 / math.sqrt(module.in_features)
        return value.uniform_(-bound, bound, generator=generator)
    # What is left are norms; a parameter of another name has no rule, and no rule must not pass for zero.
    assert name in ("weight", "bias"), f"no rule for the initial value of {name!r} in {type(module).__name__}"
    return value.fill_(1) if name == "weight" else value
