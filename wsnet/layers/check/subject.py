"""What every check needs: the norm under test, a training step of it, comparisons, and the finding."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from wsnet.config.norm import NormConfig
from wsnet.layers.initialize import initialize
from wsnet.layers.norms import Size, make_norm

__all__ = [
    "Fault",
    "Finding",
    "Line",
    "Step",
    "Subject",
    "difference",
    "failed",
    "first_nonfinite",
    "largest",
    "noted",
    "passed",
    "state",
    "step",
]


class Fault(ValueError):
    """A norm breaks a rule that every check relies on; the message says what to do."""


WARM_UP_STEPS = 3
"""Steps before a check begins, so that running statistics have left their initial values."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A norm to check.

    Attributes:
        config: which norm, with its options.
        channels: C of the maps.
        size: (height, width) of the maps.
        images: N in the checks, at least 4.
    """

    config: NormConfig
    channels: int = 32
    size: Size = (8, 8)
    images: int = 8

    def made(self, dtype: torch.dtype = torch.float32) -> nn.Module:
        """A new norm in training mode, with slightly perturbed initial parameters; the same at every call."""
        norm = make_norm(self.config, self.channels, self.size)
        initialize(norm, 0)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in norm.parameters():
                parameter.add_(0.3 * torch.rand(parameter.shape, generator=generator))
        return norm.to(dtype).train()

    def trained(self, dtype: torch.dtype = torch.float32) -> nn.Module:
        """The norm after a few steps; the same at every call."""
        norm = self.made(dtype)
        for seed in range(WARM_UP_STEPS):
            step(norm, self.maps(seed=100 + seed, dtype=dtype))
        return norm

    def maps(self, images: int | None = None, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
        """Random maps N x C x H x W; each image and channel has its own mean and scale."""
        generator = torch.Generator().manual_seed(seed)
        count = images or self.images

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        shape = (count, self.channels, *self.size)
        x = draw(*shape) * (draw(count, self.channels, 1, 1) / 2).exp() + draw(count, self.channels, 1, 1)
        return x.to(dtype)


@dataclass(frozen=True, kw_only=True)
class Step:
    """The results of one step.

    Attributes:
        y: the output, N x C x H x W.
        grads: gradients of a randomly weighted sum of the output, with respect to `input` and each parameter.
        state: buffers after the step.
    """

    y: Tensor
    grads: dict[str, Tensor]
    state: dict[str, Tensor]


def step(norm: nn.Module, x: Tensor, weights: Tensor | None = None) -> Step:
    """Run forward and backward on maps, in the norm's current mode.

    Args:
        norm: the norm.
        x: maps N x C x H x W.
        weights: of the output's elements in the loss, in the shape of x; by default drawn at random.

    Raises:
        Fault: the output has another shape than x, or a buffer keeps the graph of the batch.
    """
    norm.zero_grad()
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # A norm that draws random numbers draws the same ones in every comparison.
        y = norm(x)
    attached = [name for name, buffer in norm.named_buffers() if buffer.requires_grad]
    if attached:
        raise Fault(
            f"{', '.join(attached)} keeps the graph of the batch, so the next backward fails; update it under "
            "torch.no_grad(), or from a detached value such as mean.detach()"
        )
    if not isinstance(y, Tensor) or y.shape != x.shape:
        got = f"a tensor of {tuple(y.shape)}" if isinstance(y, Tensor) else f"a {type(y).__name__}"
        raise Fault(f"the output must have the shape of the input, {tuple(x.shape)}, but is {got}")
    (y * (weighting(x) if weights is None else weights)).sum().backward()
    leaves = {"input": x, **dict(norm.named_parameters())}
    grads = {name: torch.zeros_like(t) if t.grad is None else t.grad.clone() for name, t in leaves.items()}
    return Step(y=y.detach(), grads=grads, state=state(norm))


def weighting(x: Tensor) -> Tensor:
    """Random weights of an output's elements, in the shape and dtype of x."""
    generator = torch.Generator().manual_seed(2)
    return torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.dtype)


def state(norm: nn.Module) -> dict[str, Tensor]:
    """Copies of a norm's buffers."""
    return {name: buffer.detach().clone() for name, buffer in norm.named_buffers()}


def difference(one: Tensor, other: Tensor) -> float:
    """Largest difference relative to the largest absolute value; infinite if any value is not finite."""
    one, other = one.double(), other.double()
    if not (one.isfinite().all() and other.isfinite().all()):
        return float("inf")
    scale = max(one.abs().max().item(), other.abs().max().item(), 1e-6) if one.numel() else 1.0
    return (one - other).abs().max().item() / scale if one.numel() else 0.0


def largest(one: Step, other: Step, *, states: bool = True) -> tuple[str, float]:
    """Where two steps differ most (`output`, `gradient of weight`, `running_mean`, ...), and by how much."""
    pairs = {"output": (one.y, other.y)}
    pairs |= {f"gradient of {name}": (grad, other.grads[name]) for name, grad in one.grads.items()}
    if states:
        pairs |= {name: (value, other.state[name]) for name, value in one.state.items()}
    differences = {name: difference(*pair) for name, pair in pairs.items()}
    worst = max(differences, key=lambda name: differences[name])
    return worst, differences[worst]


def first_nonfinite(found: Step) -> str | None:
    """The name of the first result of a step that is not finite, if any."""
    values = {"output": found.y, **{f"gradient of {name}": grad for name, grad in found.grads.items()}, **found.state}
    return next((name for name, value in values.items() if not value.isfinite().all()), None)


@dataclass(frozen=True)
class Finding:
    """One check's verdict.

    Attributes:
        verdict: `fail` is a fault, `note` something to know.
        text: a sentence with the measured number and, for a fault, what to do.
    """

    verdict: Literal["pass", "fail", "note"]
    text: str


@dataclass(frozen=True)
class Line:
    """One line of a report card: the check's name and its finding."""

    check: str
    finding: Finding


def passed(text: str) -> Finding:
    """A finding that all is well."""
    return Finding("pass", text)


def failed(text: str) -> Finding:
    """A finding of a fault."""
    return Finding("fail", text)


def noted(text: str) -> Finding:
    """A finding that is worth knowing but not a fault."""
    return Finding("note", text)
