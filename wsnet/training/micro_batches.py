"""Micro-batches: `train.micro_batch_size` images share statistics, `train.batch_size` images make an optimizer step.

The result is defined by the plain loop: forward and backward for each micro-batch in turn, gradients summed, then a
step. This module plans how to compute it, since one large pass is many times faster than many small ones:

* A norm without statistics over the batch gives the same result either way: the whole batch at once.
* Batch norm of successive micro-batches is batch norm over groups of the batch, as in ghost batch norm (Hoffer et al.
  2017), with running statistics updated group by group: the whole batch at once.
* Online norm processes one image after the other, forward and backward: the whole batch at once.
* Anything else runs as the loop (`wsnet.training.loop.Training`).
"""

from dataclasses import dataclass

import torch

from wsnet.config import TrialConfig
from wsnet.config.norm import BatchNormConfig, GhostBatchNormConfig, NormConfig, OwnNormConfig, SyncBatchNormConfig
from wsnet.models import build
from wsnet.training.execution import TrialError

__all__ = ["MicroBatchPlan", "check_batch_statistics", "plan_micro_batches"]


@dataclass(frozen=True, kw_only=True)
class MicroBatchPlan:
    """How the micro-batches of a setting are computed.

    Attributes:
        size: images per pass of a worker; None: its whole share of the batch.
        norm: the norm to build the model with.
        rule: the plan in a few words, such as `the whole batch at once`.
        what: the plan with its numbers, such as `groups of 4`.
        why: the reason for it.
    """

    size: int | None
    norm: NormConfig
    rule: str
    what: str
    why: str


def plan_micro_batches(config: TrialConfig, *, workers: int = 1) -> MicroBatchPlan:
    """Choose how a trial's micro-batches are computed.

    Args:
        config: the trial.
        workers: processes that share each batch.
    """
    norm, size, views = config.model.norm, config.train.micro_batch_size, config.data.augment.views
    share = -(-config.train.batch_size // workers)

    def whole(why: str, norm: NormConfig = norm) -> MicroBatchPlan:
        return MicroBatchPlan(size=None, norm=norm, rule="the whole batch at once", what="whole batch", why=why)

    def groups(of: int, norm: GhostBatchNormConfig) -> MicroBatchPlan:
        why = "batch norm of one micro-batch after the other is batch norm over groups of images"
        rule = "the whole batch at once, normalized in groups"
        return MicroBatchPlan(size=None, norm=norm, rule=rule, what=f"groups of {of}", why=why)

    def loop(why: str) -> MicroBatchPlan:
        assert size is not None
        what = f"loop of {-(-share // size)} x {size}"
        return MicroBatchPlan(size=size, norm=norm, rule="a loop over the micro-batches", what=what, why=why)

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


def check_batch_statistics(config: TrialConfig, *, classes: int, workers: int = 1) -> None:
    """Refuse statistics of a single value (one image, maps shrunk to one pixel), which would always normalize to 0.

    torch refuses them too, but only on reaching that batch, which may be an epoch's last. Also refuse a worker without
    an image if all workers normalize together: its filler image would count although it is not in the batch.

    Args:
        config: the trial.
        classes: number of classes.
        workers: processes that share each batch.

    Raises:
        TrialError: some statistics are of one image, and the model normalizes a 1x1 map; or a worker has no image.
    """
    norm = config.model.norm
    if not norm.over_batch or isinstance(norm, OwnNormConfig):  # A user's own norm has its own rules.
        return
    images, batch = config.data.train_size, config.train.batch_size
    for size in dict.fromkeys((batch, config.last_batch_size)):
        which = f"train.batch_size={batch}"
        if size != batch:
            rest = f"({images} training images, train.batch_size={batch}); set train.drop_last"
            which = f"a last batch of {size} {rest}"
        if workers > 1:
            which += f" with {workers} workers"
        if norm.over_workers and size < workers:
            raise TrialError(f"norm {norm.name!r} needs an image for each worker, but got {which}")
        if _smallest_group(config, size, workers) == 1 and _shrinks_to_one_pixel(config, classes):
            if config.micro_batch_counts:
                which += f" in micro-batches of train.micro_batch_size={config.train.micro_batch_size}"
            if isinstance(norm, GhostBatchNormConfig):
                which += f" in sub-batches of ghost_size={norm.ghost_size}"
            raise TrialError(
                f"norm {norm.name!r} needs two images per batch and worker where a map shrinks to 1x1, "
                f"but got {which}; or use another norm"
            )


def _smallest_group(config: TrialConfig, size: int, workers: int) -> int:
    """Images in the smallest group that is normalized together, in a batch of this size."""
    norm, views = config.model.norm, config.data.augment.views
    if norm.over_workers and workers > 1:
        return norm.images_per_statistic(size * views)
    shares = {max(1, size // workers), -(-size // workers)}  # A worker without a share still gets one image.
    micro = config.train.micro_batch_size or size
    passes = {part for share in shares for part in (min(micro, share), share % micro) if part}
    return min(norm.images_per_statistic(part * views) for part in passes)


def _shrinks_to_one_pixel(config: TrialConfig, classes: int) -> bool:
    """Try the model on torch's meta device, where it computes shapes only."""
    shape = config.data.facts.shape
    with torch.device("meta"):
        model = build(config.model, classes=classes, shape=shape)
        try:
            model(torch.empty(1, *shape))
        except ValueError:  # "Expected more than 1 value per channel when training"
            return True
    return False
