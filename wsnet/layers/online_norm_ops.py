"""The CPU kernels of online normalization as operators, which torch.compile takes as they are.

The state that an operator moves is named in its `mutates_args`. On other devices, and in float64, the compiler sees the
torch operations themselves and fuses them. (`torch.library.custom_op` would define the same with less writing, but
its checks cost as much as a small layer.)
"""

import torch
from torch import Tensor

from wsnet.layers import online_norm_kernels as kernels
from wsnet.layers import online_norm_torch as plain
from wsnet.layers.online_norm_maths import OnlineNormOptions, Statistics

__all__ = ["backward", "forward", "serves"]

Affine = tuple[Tensor | None, Tensor | None]
_OPTIONS = (
    "float[] decays, Tensor? forward_decays, Tensor? backward_decays, float[] numbers, str compensation, int group_size"
)
_TAGS = (torch.Tag.needs_exact_strides,)  # The layout decides over the way through memory.

torch.library.define(
    "wsnet::online_norm_forward",
    f"(Tensor x, Tensor? weight, Tensor? bias, Tensor(a!) mean, Tensor(b!) variance, {_OPTIONS})"
    " -> (Tensor, Tensor, Tensor)",
    tags=_TAGS,
)
torch.library.define(
    "wsnet::online_norm_backward",
    "(Tensor grad, Tensor x, Tensor? weight, Tensor? bias, Tensor stats, Tensor zeta, Tensor(a!) u, Tensor(b!) v,"
    f" {_OPTIONS}) -> (Tensor, Tensor)",
    tags=_TAGS,
)


def serves(x: Tensor) -> bool:
    """Whether the operators take this tensor."""
    return x.device.type == "cpu" and x.dtype in kernels.DTYPES


def forward(
    x: Tensor, affine: Affine, state: tuple[Tensor, Tensor], options: OnlineNormOptions
) -> tuple[Tensor, Statistics]:
    """As `online_norm_kernels.forward`."""
    out, stats, zeta = torch.ops.wsnet.online_norm_forward(x, *affine, *state, *_flat(options))
    return out, Statistics(stats, zeta)


def backward(
    grad: Tensor,
    x: Tensor,
    affine: Affine,
    saved: Statistics,
    state: tuple[Tensor, Tensor],
    options: OnlineNormOptions,
    *,
    needs_input: bool = True,
) -> tuple[Tensor | None, Tensor]:
    """As `online_norm_kernels.backward`; the gradient of the input is always made."""
    found: tuple[Tensor, Tensor] = torch.ops.wsnet.online_norm_backward(
        grad, x, *affine, *saved, *state, *_flat(options)
    )
    return found


@torch.library.impl("wsnet::online_norm_forward", "CPU")
def _forward(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    decays: list[float],
    forward_decays: Tensor | None,
    backward_decays: Tensor | None,
    numbers: list[float],
    error_compensation: str,
    group_size: int,
) -> tuple[Tensor, Tensor, Tensor]:
    options = _options(decays, forward_decays, backward_decays, numbers, error_compensation, group_size)
    module = kernels if kernels.serves(x, weight, mean) else plain
    out, saved = module.forward(x, (weight, bias), (mean, variance), options)
    return out, *saved


@torch.library.register_fake("wsnet::online_norm_forward")
def _(  # type: ignore[no-untyped-def]
    x, weight, bias, mean, variance, decays, forward_decays, backward_decays, numbers, error_compensation, group_size
):
    samples, channels = x.shape[:2]
    stats = x.new_empty((4, samples, channels), dtype=torch.float64)
    groups = channels // group_size if group_size else 1
    return torch.empty_like(x), stats, x.new_empty((samples, groups), dtype=torch.float64)


@torch.library.impl("wsnet::online_norm_backward", "CPU")
def _backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    stats: Tensor,
    zeta: Tensor,
    u: Tensor,
    v: Tensor,
    decays: list[float],
    forward_decays: Tensor | None,
    backward_decays: Tensor | None,
    numbers: list[float],
    error_compensation: str,
    group_size: int,
) -> tuple[Tensor, Tensor]:
    options = _options(decays, forward_decays, backward_decays, numbers, error_compensation, group_size)
    module = kernels if kernels.serves(x, weight, u) else plain
    grad_in, grad_affine = module.backward(
        grad, x, (weight, bias), Statistics(stats, zeta), (u, v), options, needs_input=True
    )
    assert grad_in is not None
    return grad_in, grad_affine


@torch.library.register_fake("wsnet::online_norm_backward")
def _(grad, x, weight, bias, stats, *others):  # type: ignore[no-untyped-def]
    return torch.empty_like(x), x.new_empty((2, x.shape[1]), dtype=torch.float64)


def _flat(options: OnlineNormOptions) -> tuple[list[float], Tensor | None, Tensor | None, list[float], str, int]:
    forward_decay, backward_decay = options.forward_decay, options.backward_decay
    return (
        [decay if isinstance(decay, float) else 0.0 for decay in (forward_decay, backward_decay)],
        forward_decay if isinstance(forward_decay, Tensor) else None,
        backward_decay if isinstance(backward_decay, Tensor) else None,
        [options.eps, options.layer_scale_eps, options.clamp],
        options.error_compensation,
        options.group_size or 0,
    )


def _options(
    decays: list[float],
    forward_decays: Tensor | None,
    backward_decays: Tensor | None,
    numbers: list[float],
    error_compensation: str,
    group_size: int,
) -> OnlineNormOptions:
    return OnlineNormOptions(
        forward_decay=decays[0] if forward_decays is None else forward_decays,
        backward_decay=decays[1] if backward_decays is None else backward_decays,
        eps=numbers[0],
        error_compensation=error_compensation,
        layer_scale_eps=numbers[1],
        clamp=numbers[2],
        group_size=group_size or None,
    )
