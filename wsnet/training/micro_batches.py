"""Micro-batches: `train.micro_batch_size` images share statistics, `train.batch_size` images make an optimizer step.

The result is defined by the plain loop: forward and backward of one micro-batch after the other, gradients added up,
then a step. How it is computed is planned here, since one large pass is many times faster than many small ones:

* A norm without statistics over the batch gives the same either way: the whole batch at once.
* Batch norm of successive micro-batches is batch norm over groups of the batch, as in ghost batch norm (Hoffer et al.
  2017), with the running statistics that one group after the other leaves: the whole batch at once.
* Online norm goes from image to image, forward and backward: the whole batch at once.
* Anything else runs as the loop (`wsnet.training.loop.Training`).
"""

from dataclasses import dataclass

from wsnet.config import TrialConfig
from wsnet.config.norm import BatchNormConfig, GhostBatchNormConfig, NormConfig, SyncBatchNormConfig

__all__ = ["MicroBatchPlan", "plan_micro_batches"]


@dataclass(frozen=True, kw_only=True)
class MicroBatchPlan:
    """How the micro-batches of a setting are computed.

    Attributes:
        size: images of one pass of a worker; None: its whole share of the batch.
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
