"""Whether backward is the derivative of forward."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from wsnet.layers.check.subject import Finding, Subject, difference, failed, noted, passed, step, weighting

__all__ = ["activation_in_place", "gradients"]

DIRECTIONS = 3


@dataclass(frozen=True)
class _Differences:
    """Central differences.

    Attributes:
        width: step of a difference. A smaller one is more exact, until rounding errors (divided by it) dominate.
        tolerance: error allowed in a gradient, relative to its norm.
        name: of the arithmetic, for the message.
    """

    width: float
    tolerance: float
    name: str


EXACT = _Differences(1e-5, 1e-4, "float64")
ROUNDED = _Differences(1e-2, 1e-2, "its statistics are float32")
"""For a norm that computes its statistics in float32 for inputs of any dtype, as it should for 16-bit inputs."""


def gradients(subject: Subject) -> Finding:
    """Compare each gradient with central differences along random directions, in float64.

    A norm whose backward differs on purpose says why in a class attribute, `surrogate_gradient`.
    """
    x = subject.maps(dtype=torch.float64)
    differences = ROUNDED if _rounds(subject, x) else EXACT
    analytic = step(subject.trained(torch.float64), x).grads
    errors = {name: _error(subject, x, name, grad, differences.width) for name, grad in analytic.items()}
    worst = max(errors, key=lambda name: errors[name])
    seen = f"{errors[worst]:.1e} of its norm from finite differences ({differences.name})"
    why = getattr(subject.made(), "surrogate_gradient", None)
    if errors[worst] <= differences.tolerance:
        return passed(f"every gradient is the derivative of forward; the worst, of {worst}, differs by {seen}")
    if why:
        return noted(f"not the derivative, as declared: {why} (the gradient of {worst} differs by {seen})")
    return failed(
        f"a gradient is not the derivative of forward: that of {worst} differs by {seen}; correct the backward or, "
        "if it is meant to differ, give the reason in a class attribute surrogate_gradient = '...'"
    )


class _Dtypes(TorchDispatchMode):
    """Records the dtypes of all results."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.seen |= {leaf.dtype for leaf in tree_leaves(out) if isinstance(leaf, Tensor)}
        return out


@torch.no_grad()
def _rounds(subject: Subject, x: Tensor) -> bool:
    """Whether a norm computes anything in lower precision although its input is float64."""
    norm = subject.made(torch.float64)
    with _Dtypes() as dtypes:
        norm(x)
    return bool(dtypes.seen & {torch.float32, torch.bfloat16, torch.float16})


def _error(subject: Subject, x: Tensor, name: str, grad: Tensor, width: float) -> float:
    """Largest error along a few random directions, relative to the gradient's norm."""
    scale = max(float(grad.norm()), 1e-6)
    errors: list[float] = []
    for seed in range(DIRECTIONS):
        direction = torch.randn(grad.shape, generator=torch.Generator().manual_seed(10 + seed), dtype=torch.float64)
        up, down = (_loss(subject, x, name, shift * direction) for shift in (width, -width))
        errors.append(abs((up - down) / (2 * width) - float((grad * direction).sum())) / scale)
    return max(errors)


@torch.no_grad()
def _loss(subject: Subject, x: Tensor, name: str, shift: Tensor) -> float:
    with torch.enable_grad():
        norm = subject.trained(torch.float64)
    if name == "input":
        x = x + shift
    else:
        norm.get_parameter(name).add_(shift)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return float((norm(x) * weighting(x)).sum())


def activation_in_place(subject: Subject) -> Finding:
    """Check that an in-place ReLU may overwrite the norm's output, as in every network of wsnet."""

    def gradient(in_place: bool) -> Tensor:
        norm: nn.Module = subject.trained()
        x = subject.maps().requires_grad_()
        y = F.relu(norm(x * 1), inplace=in_place)
        (y * weighting(x)).sum().backward()
        assert x.grad is not None
        return x.grad

    out = "keep what backward needs in a tensor that forward does not return"
    apart = gradient(False)
    try:
        off = difference(gradient(True), apart)
    except RuntimeError as error:
        return failed(f"an in-place ReLU after the norm breaks its backward ({str(error).splitlines()[0][:90]}); {out}")
    if off > 1e-6:
        return failed(f"an in-place ReLU after the norm changes the gradient by {off:.1e}; {out}")
    return passed("a ReLU may overwrite its output")
