"""What a configuration may ask for and yet looks like an oversight."""

from collections.abc import Iterable

from wsnet.config.source import Source
from wsnet.config.trial import TrialConfig

__all__ = ["small_last_batch", "warnings_of"]

_SHARE = 4
"""A last batch under one in so many of a batch is warned of."""


def warnings_of(configs: Iterable[TrialConfig], source: Source) -> list[str]:
    """Warnings about the settings of a sweep file, as `file:line: key: text`, each once."""
    late: dict[str, None] = {}
    small: dict[str, None] = {}
    for config in configs:
        schedule, epochs = config.optim.schedule, config.train.epochs
        # Published recipes have milestones past the end, so that is no mistake.
        if schedule.name == "multistep" and schedule.milestones[-1] >= epochs:
            beyond = [m for m in schedule.milestones if m >= epochs]
            late[f"milestones {beyond} are never reached in {epochs} epochs"] = None
        if (text := small_last_batch(config)) is not None:
            small[text] = None
    place = source.place(("base", "optim", "schedule", "milestones"))
    found = [f"{place}: base.optim.schedule.milestones: {text}" for text in late]
    return found + [f"{source.place(('base', 'train'))}: base.train.drop_last: {text}" for text in small]


def small_last_batch(config: TrialConfig) -> str | None:
    """What to say where an epoch ends with a step on less than a quarter of a batch; None elsewhere.

    Such a step has the learning rate of a whole batch and the gradient of a few images, just before an evaluation.
    """
    last, batch = config.last_batch_size, config.train.batch_size
    if last * _SHARE >= batch:
        return None
    images = f"{last} image{'s' if last > 1 else ''}"
    return (
        f"with train.batch_size={batch} the last step of an epoch is on {images} ({config.data.train_size:,} training "
        "images), at the full learning rate and just before an evaluation; set train.drop_last: true to leave it out"
    )
