"""Whether every batch is big enough to take statistics over, found out before the first step."""

import torch

from wsnet.config import TrialConfig
from wsnet.layers import uses_batch_statistics
from wsnet.models import build
from wsnet.training.errors import TrialError

__all__ = ["check_batch_statistics"]


def check_batch_statistics(config: TrialConfig, *, classes: int, workers: int = 1) -> None:
    """Refuse a single image whose maps shrink to a single pixel: normalized by itself, a value is always 0.

    torch refuses it too, but only when it comes to that batch, which may be an epoch's last.

    Args:
        config: the trial.
        classes: number of classes.
        workers: processes that share each batch.

    Raises:
        TrialError: a worker's share of some batch is one image, and the model normalizes a 1x1 map.
    """
    if not uses_batch_statistics(config.model.norm):
        return
    images, batch = config.data.train_size, config.train.batch_size
    last = images - (config.steps_per_epoch - 1) * batch  # Of the last batch that is trained on.
    smallest = min(batch, last)
    if smallest // workers > 1 or not _shrinks_to_one_pixel(config, classes):
        return
    if smallest == batch:
        which = f"train.batch_size={batch}"
    else:
        which = f"a last batch of {last} ({images} training images, train.batch_size={batch}); set train.drop_last"
    raise TrialError(
        f"norm {config.model.norm.name!r} needs two images per batch and worker where a map shrinks to 1x1, "
        f"but got {which}{f' with {workers} workers' if workers > 1 else ''}; or use another norm"
    )


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
