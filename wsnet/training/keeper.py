"""Which checkpoints of a trial lie in its directory."""

import math

from wsnet.storage import Folder
from wsnet.storage.trial_directory import Record
from wsnet.training.checkpoint import Checkpoint

__all__ = ["Keeper"]


class Keeper:
    """Writes a trial's checkpoints: `last.pt` always, `best.pt` and `epoch_0001.pt`, ... where they are to be kept.

    Args:
        folder: the trial's folder.
        keep: `train.keep` of the configuration.
        records: records of the epochs that are done.
    """

    def __init__(self, folder: Folder, keep: str, records: list[Record]) -> None:
        self._folder, self._keep = folder, keep
        self._best = min((_validation_error(record) for record in records), default=math.inf)

    def save(self, checkpoint: Checkpoint, record: Record) -> None:
        """Save an epoch. The last checkpoint goes last, so that an epoch cut off here is simply trained again."""
        data = checkpoint.to_bytes()
        error = _validation_error(record)
        if self._keep in ("best", "all") and error < self._best:
            self._best = error
            self._folder.write("best.pt", data)
        if self._keep == "all":
            self._folder.write(f"epoch_{checkpoint.epoch:04d}.pt", data)
        self._folder.write("last.pt", data)
        self._folder.delete("step.pt")

    def save_step(self, checkpoint: Checkpoint) -> None:
        """Save the middle of an epoch."""
        self._folder.write("step.pt", checkpoint.to_bytes())

    def finish(self) -> None:
        """The trial needs its last checkpoint no more."""
        if self._keep == "none":
            self._folder.delete("last.pt")


def _validation_error(record: Record) -> float:
    """Infinite where there is no validation split, or where the loss is not finite: such an epoch is never the best."""
    is_sound = all(math.isfinite(record.get(f"{split}/loss", math.nan)) for split in ("train", "validation"))
    return record["validation/top1_error"] if is_sound else math.inf
