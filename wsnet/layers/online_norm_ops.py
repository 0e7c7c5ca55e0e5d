"""The CPU kernels of online normalization as operators, which torch.compile takes as they are.

`online_norm` is what a layer calls. It falls apart into `online_norm_forward` and, in the graph of the backward,
`online_norm_backward`, which run the kernels; the state that an operator moves is marked in its schema. That Dynamo
meets one operator, and none of the Python around it, matters: each name and function that it walks through is a guard,
checked at every call, and these guards took as long as a small layer's kernels. For the same reason there is no
`torch.library.custom_op` here, though it would need less writing.

On other devices, and in float64, the compiler sees the torch operations themselves and fuses them.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wsnet.layers import online_norm_kernels as kernels
from wsnet.layers import online_norm_torch as plain
from wsnet.layers.online_norm_maths import OnlineNormOptions, Statistics, affine_dtype

__all__ = ["online_norm_operator"]

_OPTIONS = (
    "float[] decays, Tensor? forward_decays, Tensor? backward_decays, float[] numbers, str compensation, int group_size"
)
_TAGS = (torch.Tag.needs_exact_strides,)  # The layout decides over the way through memory.

torch.library.define(
    "wsnet::online_norm",
    "(Tensor x, Tensor? weight, Tensor? bias, Tensor(a!) mean, Tensor(b!) variance, Tensor(c!) u, Tensor(d!) v,"
    f" {_OPTIONS}) -> Tensor",
    tags=_TAGS,
)
torch.library.define(
    "wsnet::online_norm_forward",
    f"(Tensor x, Tensor? weight, Tensor? bias, Tensor(a!) mean, Tensor(b!) variance, {_OPTIONS})"
    " -> (Tensor, Tensor, Tensor)",
    tags=_TAGS,
)
torch.library.define(
    "wsnet::online_norm_backward",
    "(Tensor grad, Tensor x, Tensor? weight, Tensor? bias, Tensor stats, Tensor zeta, Tensor(a!) u, Tensor(b!) v,"
    f" {_OPTIONS}) -> (Tensor, Tensor, Tensor)",
    tags=_TAGS,
)


online_norm_operator = torch.ops.wsnet.online_norm.default


class _OnlineNormalize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        u: Tensor,
        v: Tensor,
        *options: Any,
    ) -> Tensor:
        out, *saved = torch.ops.wsnet.online_norm_forward(x, weight, bias, mean, variance, *options)
        ctx.save_for_backward(x, weight, bias, *saved)
        ctx.state, ctx.options = (u, v), options
        result: Tensor = out
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, weight, bias, *saved = ctx.saved_tensors
        grad_in, grad_weight, grad_bias = torch.ops.wsnet.online_norm_backward(
            grad, x, weight, bias, *saved, *ctx.state, *ctx.options
        )
        grad_weight, grad_bias = (None if weight is None else grad_weight), (None if bias is None else grad_bias)
        return grad_in, grad_weight, grad_bias, *[None] * (4 + len(ctx.options))


@torch.library.impl("wsnet::online_norm", "CompositeImplicitAutograd")
def _online_norm(*arguments: Any) -> Tensor:
    out: Tensor = _OnlineNormalize.apply(*arguments)
    return out


@torch.library.impl("wsnet::online_norm_forward", "CPU")
def _forward(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, *options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    module = kernels if kernels.serves(x, weight, mean) else plain
    out, saved = module.forward(x, (weight, bias), (mean, variance), _options(*options))
    return out, *saved


@torch.library.register_fake("wsnet::online_norm_forward")
def _(x, weight, bias, mean, variance, *options):  # type: ignore[no-untyped-def]
    samples, channels = x.shape[:2]
    stats = x.new_empty((4, samples, channels), dtype=torch.float64)
    group_size = _options(*options).group_size
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
    *options: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    module = kernels if kernels.serves(x, weight, u) else plain
    grad_in, grad_weight, grad_bias = module.backward(
        grad, x, (weight, bias), Statistics(stats, zeta), (u, v), _options(*options), needs_input=True
    )
    assert grad_in is not None
    return grad_in, grad_weight, grad_bias


@torch.library.register_fake("wsnet::online_norm_backward")
def _(grad, x, weight, bias, *others):  # type: ignore[no-untyped-def]
    dtype = affine_dtype((weight, bias))
    return torch.empty_like(x), x.new_empty(x.shape[1], dtype=dtype), x.new_empty(x.shape[1], dtype=dtype)


# The options as the schemas have them, in this order.
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
