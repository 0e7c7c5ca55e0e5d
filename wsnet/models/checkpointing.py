"""Activation checkpointing (Chen et al. 2016, arXiv:1604.06174): less memory for one more forward pass.

Only the input of each block is kept; the backward pass recomputes the block. The results are the same to the last bit:
random layers draw the same numbers (see `RandomLayer`), and the recomputation starts from copies of the buffers
(running statistics) as they were before the first forward. The block's own buffers are put back afterwards.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from wsnet.layers.online_norm import OnlineNorm, online_norm_checkpoint
from wsnet.models.blocks import BasicBlock, Bottleneck
from wsnet.models.densenet import DenseLayer, Transition
from wsnet.models.preact_resnet import PreActBlock
from wsnet.models.pyramidnet import PyramidBasic, PyramidBottleneck
from wsnet.models.shake_shake import ShakeBlock

__all__ = ["BLOCKS", "recompute_blocks"]

BLOCKS: tuple[type[nn.Module], ...] = (
    BasicBlock,
    Bottleneck,
    PreActBlock,
    DenseLayer,
    Transition,
    PyramidBasic,
    PyramidBottleneck,
    ShakeBlock,
)
"""Blocks that are recomputed as a whole."""

_Buffers = list[tuple[dict[str, Tensor | None], str, Tensor]]
_Contexts = tuple[AbstractContextManager[None], AbstractContextManager[None]]


def recompute_blocks(model: nn.Module) -> None:
    """Make the backward pass recompute every block of a model, which is changed in place.

    Raises:
        ValueError: the model has no blocks.
    """
    blocks = [module for module in model.modules() if isinstance(module, BLOCKS)]
    if not blocks:
        raise ValueError("checkpointing recomputes residual or dense blocks, and this architecture has none")
    for block in blocks:
        block.forward = _Recomputed(block)  # type: ignore[method-assign]


class _Recomputed:
    """A block's forward that keeps only its inputs."""

    def __init__(self, block: nn.Module) -> None:
        self.block = block

    def __call__(self, *inputs: Any) -> Any:
        block = self.block
        forward = partial(type(block).forward, block)
        if not block.training:
            return forward(*inputs)
        return checkpoint(forward, *inputs, use_reentrant=False, context_fn=partial(_contexts, block))


def _contexts(block: nn.Module) -> _Contexts:
    """One context for the first forward, one for the recomputation."""
    first, second = online_norm_checkpoint()
    before: list[Tensor] = []
    return _recording(block, before, first), _repeating(block, before, second)


@contextmanager
def _recording(block: nn.Module, before: list[Tensor], tape: AbstractContextManager[None]) -> Iterator[None]:
    before[:] = [buffer.clone() for _, _, buffer in _moved(block)]
    with tape:
        yield


@contextmanager
def _repeating(block: nn.Module, before: list[Tensor], tape: AbstractContextManager[None]) -> Iterator[None]:
    # The buffers are replaced, not overwritten: autograd has saved them, and would detect that they were modified.
    now = _moved(block)
    with ExitStack() as stack:
        stack.enter_context(tape)
        for (holder, name, buffer), old in zip(now, before, strict=True):
            stack.callback(holder.__setitem__, name, buffer)
            holder[name] = old.clone()
        yield


def _moved(block: nn.Module) -> _Buffers:
    """The buffers that a training forward may update, except online norm's, which its own tape handles."""
    return [
        (module._buffers, name, buffer)
        for module in block.modules()
        if not isinstance(module, OnlineNorm)
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
