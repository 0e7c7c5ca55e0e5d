"""Whether every batch is large enough to take statistics over, checked before the first step."""

import torch

from wsnet.config import TrialConfig
from wsnet.config.norm import GhostBatchNormConfig, OwnNormConfig
from wsnet.models import build
from wsnet.training.execution import TrialError

__all__ = ["check_batch_statistics"]


def check_batch_statistics(config: TrialConfig, *, classes: int, workers: int = 1) -> None:
    """Refuse statistics of a single value: one image whose maps shrink to one pixel. Normalized, it is always 0.

    torch refuses it too, but only when it comes to that batch, which may be an epoch's last. Also refuse a worker
    without an image where all workers normalize together: it would add one that is not in the batch.

    Args:
        config: the trial.
        classes: number of classes.
        workers: processes that share each batch.

    Raises:
        TrialError: some statistics are of one image, and the model normalizes a 1x1 map; or a worker has no image.
    """
    norm = config.model.norm
    if not norm.over_batch or isinstance(norm, OwnNormConfig):  # A norm of the user's own has its own rules.
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
    """Images in the smallest group with statistics of its own, of a batch of this size."""
    norm, views = config.model.norm, config.data.augment.views
    if norm.over_workers and workers > 1:
        return norm.images_per_statistic(size * views)
    shares = {max(1, size // workers), -(-size // workers)}  # A worker without a share takes one image all the same.
    micro = config.train.micro_batch_size or size
    passes = {part for share in shares for part in (min(micro, share), share % micro) if part}
    return min(norm.images_per_statistic(part * views) for part in passes)


def _shrinks_to_one_pixel(config: TrialConfig, classes: int) -> bool:
    """Ask the model: on torch's meta device it computes shapes only."""
    shape = config.data.facts.shape
    with torch.device("meta"):
        model = build(config.model, classes=classes, shape=shape)
        try:
            model(torch.empty(1, *shape))
        except ValueError:  # "Expected more than 1 value per channel when training"
            return True
    return False
