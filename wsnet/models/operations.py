"""Counts what a model computes, by torch operator."""

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


@contextmanager
def _without_triton() -> Iterator[None]:
    """Within the context, triton is not imported: 70 MB and 0.1 to 0.4 s, and no model here has kernels of it."""
    is_absent, log = "triton" not in sys.modules, logging.getLogger("torch.utils.flop_counter")
    was_disabled, log.disabled = log.disabled, True  # A warning that triton is not there.
    if is_absent:
        sys.modules["triton"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        log.disabled = was_disabled
        if is_absent:
            del sys.modules["triton"]


with _without_triton():
    from torch.utils.flop_counter import FlopCounterMode

__all__ = ["THOP_FORMULAS", "Formulas", "Operations", "ShapesOfNorms"]

Formulas = dict[Any, Callable[..., int]]
"""Operator to the function that counts its operations; it takes the shapes of the inputs and, as out_shape, of the
output, and the other arguments as they are."""

_Shape = tuple[int, ...]


class _Mode(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # Otherwise torch imports its compiler, to tell it not to compile this class.


class ShapesOfNorms(_Mode):
    """Within its context, the usual layers on the meta device give outputs of the right shapes at once.

    Torch computes the shapes of a norm with some thirty operations, in Python: 10 ms for each batch norm. A convolution
    or an addition takes it 0.3 to 0.5 ms.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        x = args[0] if args else None
        if isinstance(x, torch.Tensor) and x.device.type == "meta":
            if func in _STATISTICS:
                shape = _STATISTICS[func](*args)
                return _like(x), _empty(x, shape), _empty(x, shape)
            if func in _LIKE_THE_FIRST and _is_like(x, *args[1:2]):
                return _like(x)
            if func in _IN_PLACE and _is_like(x, *args[1:2]):
                return x
            if func is _aten.convolution.default and (convolved := _convolved(*args)):
                return _empty(x, convolved)
        if func is _aten.cat.default and len(args) == 2 and (joined := _joined(*args)):
            return _empty(args[0][0], joined)
        return func(*args, **(kwargs or {}))


class Operations(_Mode):
    """Counts operations within its context, by torch operator, with the formulas of torch's `FlopCounterMode`.

    That class itself also tells modules apart, for which it imports torch's compiler: 2 s.

    Args:
        formulas: they replace those of torch.

    Attributes:
        counts: operations by operator; a multiply-accumulate is two.
        operations: calls of any operator.
    """

    def __init__(self, formulas: Formulas) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: dict[Any, int] = Counter()
        self.operations = 0
        self._formulas = FlopCounterMode(display=False, custom_mapping=formulas).flop_registry

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.operations += 1
        formula = self._formulas.get(func._overloadpacket)
        if formula is not None:
            self.counts[func._overloadpacket] += formula(*args, **(kwargs or {}), out_val=out)
        return out


def _empty(x: torch.Tensor, shape: _Shape) -> torch.Tensor:
    return torch.empty(shape, dtype=x.dtype, device="meta")


def _like(x: torch.Tensor) -> torch.Tensor:
    """What `torch.empty_like` gives, which takes 90 us on the meta device, and this 3."""
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta")


def _is_like(x: torch.Tensor, *others: Any) -> bool:
    """Whether an operation of `x` and at most one other tensor has a result like `x`."""
    return all(isinstance(y, torch.Tensor) and y.shape == x.shape and y.dtype == x.dtype for y in others)


def _convolved(
    x: torch.Tensor,
    filters: torch.Tensor,
    bias: Any,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    is_transposed: bool,
    output_padding: Any,
    groups: int,
) -> _Shape | None:
    """Shape of a convolution; None where it is not an ordinary one, or not possible: then torch has to say so."""
    if is_transposed or x.dim() != 4 or x.shape[1] != filters.shape[1] * groups:
        return None
    sizes = zip(x.shape[2:], filters.shape[2:], _both(stride), _both(padding), _both(dilation), strict=True)
    out = [(size + 2 * pad - far * (taps - 1) - 1) // step + 1 for size, taps, step, pad, far in sizes]
    return (x.shape[0], filters.shape[0], *out) if min(out) > 0 else None


def _joined(parts: list[torch.Tensor], axis: int) -> _Shape | None:
    """Shape of feature maps side by side; None where one is not on the meta device, or has other axes."""
    first = parts[0]
    if any(part.device.type != "meta" or part.dim() != 4 or part.dtype != first.dtype for part in parts) or axis != 1:
        return None
    return (first.shape[0], sum(part.shape[1] for part in parts), *first.shape[2:])


def _both(sizes: list[int]) -> list[int]:
    return sizes * 2 if len(sizes) == 1 else sizes


def _batch_norm(
    x: _Shape, weight: Any, bias: Any, mean: Any, var: Any, training: bool, *inputs: Any, **options: Any
) -> int:
    # In evaluation only instance norm, which calls the same operator, takes statistics of its input.
    return 0 if training else 2 * _product(x)


def _batch_norm_in_evaluation(x: _Shape, *inputs: Any, **options: Any) -> int:
    return 2 * _product(x)


def _pooled(x: _Shape, *inputs: Any, out_shape: _Shape, **options: Any) -> int:
    """An average over a whole map: one addition per element, and one division per output."""
    return _product(x) + _product(out_shape)


def _average_pool(x: _Shape, kernel: list[int], *inputs: Any, out_shape: _Shape, **options: Any) -> int:
    return (kernel[0] * kernel[-1] + 1) * _product(out_shape)


def _linear(bias: _Shape, x: _Shape, weight: _Shape, *inputs: Any, out_shape: _Shape, **options: Any) -> int:
    return (2 * x[-1] - 1) * _product(out_shape)


def _product(shape: _Shape) -> int:
    return torch.Size(shape).numel()


def _of_layer(x: torch.Tensor, normalized: list[int], *_: Any) -> _Shape:
    return (*x.shape[: x.dim() - len(normalized)], *[1] * len(normalized))


_aten = torch.ops.aten
_STATISTICS: dict[Any, Callable[..., _Shape]] = {
    _aten.native_batch_norm.default: lambda x, weight, bias, mean, var, training, *_: (x.shape[1] if training else 0,),
    _aten.native_group_norm.default: lambda x, weight, bias, samples, channels, size, groups, eps: (samples, groups),
    _aten.native_layer_norm.default: _of_layer,
}
"""The shape of the mean, and of the inverse deviation, that a norm returns besides its output; by operator."""
_LIKE_THE_FIRST = {_aten.relu.default, _aten.add.Tensor, _aten.mul.Tensor}
_IN_PLACE = {_aten.relu_.default, _aten.add_.Tensor}
THOP_FORMULAS: Formulas = {
    _aten.native_batch_norm: _batch_norm,
    _aten._native_batch_norm_legit_no_training: _batch_norm_in_evaluation,
    _aten.mean: _pooled,
    _aten._adaptive_avg_pool2d: _pooled,
    _aten.avg_pool2d: _average_pool,
    _aten.addmm: _linear,
}
"""Operators for which thop's count is not that of multiply-accumulates."""
