"""Micro-batches: `train.micro_batch_size` images share statistics, `train.batch_size` images make an optimizer step.

What results is defined by the plain loop: forward and backward of one micro-batch after the other, gradients added up,
then a step. How it is computed is chosen, since one large pass is many times faster than many small ones:

* A norm without statistics over the batch gives the same either way: the whole batch at once.
* Batch norm of successive micro-batches is batch norm over groups of the batch, as in ghost batch norm (Hoffer et al.
  2017), with the running statistics that one group after the other leaves: the whole batch at once.
* Online norm goes from image to image, forward and backward: the whole batch at once.
* Anything else runs as the loop.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from wsnet.config import TrialConfig
from wsnet.config.norm import BatchNormConfig, GhostBatchNormConfig, NormConfig, SyncBatchNormConfig
from wsnet.data import Batch
from wsnet.layers import once_per_step
from wsnet.models.torchvision_net import with_auxiliary
from wsnet.training.loss import Loss, averaged_views, loss_of, parts

__all__ = ["MicroBatches", "backward", "plan_micro_batches"]


@dataclass(frozen=True, kw_only=True)
class MicroBatches:
    """How the micro-batches of a setting are computed.

    Attributes:
        size: images of one pass of a worker; None: its whole share of the batch.
        norm: the norm to build the model with.
        rule: the plan in a few words, such as `the whole batch at once`.
        what: the same with its numbers, such as `groups of 4`.
        why: the reason for it.
    """

    size: int | None
    norm: NormConfig
    rule: str
    what: str
    why: str


def plan_micro_batches(config: TrialConfig, *, workers: int = 1) -> MicroBatches:
    """Choose how a trial's micro-batches are computed.

    Args:
        config: the trial.
        workers: processes that share each batch.
    """
    norm, size, views = config.model.norm, config.train.micro_batch_size, config.data.augment.views
    share = -(-config.train.batch_size // workers)

    def whole(why: str, norm: NormConfig = norm) -> MicroBatches:
        return MicroBatches(size=None, norm=norm, rule="the whole batch at once", what="whole batch", why=why)

    def groups(of: int, norm: GhostBatchNormConfig) -> MicroBatches:
        why = "batch norm of one micro-batch after the other is batch norm over groups of images"
        rule = "the whole batch at once, normalized in groups"
        return MicroBatches(size=None, norm=norm, rule=rule, what=f"groups of {of}", why=why)

    def loop(why: str) -> MicroBatches:
        assert size is not None
        what = f"loop of {-(-share // size)} x {size}"
        return MicroBatches(size=size, norm=norm, rule="a loop over the micro-batches", what=what, why=why)

    if size is None or size >= share:
        return whole("there is one micro-batch")
    if config.execution.micro_batches == "loop":
        return loop("execution.micro_batches is 'loop'")
    if config.model.name == "torchvision":
        return loop("torchvision's networks have norms of their own")
    if norm.streams:
        return whole(f"norm {norm.name!r} goes from image to image, wherever a micro-batch ends")
    if not norm.over_batch:
        return whole(f"norm {norm.name!r} takes no statistics over a batch, so micro-batches change nothing")
    if isinstance(norm, BatchNormConfig) or (isinstance(norm, SyncBatchNormConfig) and workers == 1):
        ghost = GhostBatchNormConfig(name="ghost_batch", ghost_size=size * views, momentum=norm.momentum, eps=norm.eps)
        return groups(size * views, ghost)
    if isinstance(norm, GhostBatchNormConfig) and size * views <= norm.ghost_size:
        return groups(size * views, norm.model_copy(update={"ghost_size": size * views}))
    if isinstance(norm, GhostBatchNormConfig) and size * views % norm.ghost_size == 0:
        return whole("a micro-batch is a whole number of sub-batches", norm)
    return loop(f"no other way is known to be the same with norm {norm.name!r}")


def backward(
    forward: Callable[[Tensor], Any],
    batch: Batch,
    size: int | None,
    *,
    model: nn.Module,
    autocast: Callable[[], AbstractContextManager[object]],
    loss: Loss = Loss(),  # noqa: B008 (frozen)
    begin: Callable[[int], None] = lambda position: None,
) -> tuple[Tensor, Tensor]:
    """Add the gradients of a batch's mean loss to the parameters'.

    Args:
        forward: the model as it is called: N x C x H x W images to N x classes logits (or several, where the network
            has auxiliary classifiers).
        batch: this worker's share of a batch.
        size: images of one pass; None: all.
        model: the model itself, or DistributedDataParallel around it.
        autocast: the forward pass's precision.
        loss: what the loss is made of.
        begin: told before each pass of the position of its first view in the share.

    Returns:
        The mean loss () and the logits of the share (B, classes), detached where there were several passes; of several
        views of an image their mean.
    """
    if size is None or size >= len(batch.labels):
        begin(0)
        with autocast():
            mean, logits = with_auxiliary(forward(batch.images), lambda logits: loss_of(logits, batch, loss))
        (mean if batch.weight == 1 else mean * batch.weight).backward()
        return mean, averaged_views(logits, loss.views)
    losses, found = [], []
    pieces = parts(batch, size, views=loss.views)

    def added_by(piece: Batch) -> Callable[[Tensor], Tensor]:
        return lambda logits: loss_of(logits, piece, loss, of=len(batch.labels))

    with _filters_once(model):
        for index, piece in enumerate(pieces):
            begin(index * size * loss.views)
            with _together(model, index == len(pieces) - 1):
                with autocast():
                    added, logits = with_auxiliary(forward(piece.images), added_by(piece))
                (added if batch.weight == 1 else added * batch.weight).backward()
            losses.append(added.detach())
            found.append(logits.detach())
    return torch.stack(losses).sum(), averaged_views(torch.cat(found), loss.views)


def _filters_once(model: nn.Module) -> AbstractContextManager[None]:
    """Reparametrized filters once for all passes; DistributedDataParallel would look for their gradients too early."""
    return nullcontext() if isinstance(model, DistributedDataParallel) else once_per_step(model)


def _together(model: nn.Module, is_last: bool) -> AbstractContextManager[None]:
    """Workers exchange gradients once a step, with the last pass."""
    return nullcontext() if is_last or not isinstance(model, DistributedDataParallel) else model.no_sync()
