"""When a trial is at its end."""

import math

from wsnet.config.trial import TrainConfig
from wsnet.storage import Status
from wsnet.storage.trial_directory import Record

__all__ = ["ending"]


def ending(train: TrainConfig, records: list[Record]) -> Status | None:
    """How a trial has ended; None while it has not.

    Read off what is done, so that a resumed trial ends where it would have ended.

    Args:
        train: the trial's epochs and limits.
        records: one record for each epoch done.
    """
    epoch, loss = (int(records[-1]["epoch"]), records[-1]["train/loss"]) if records else (0, 0.0)
    if not math.isfinite(loss):
        message = f"the training loss became {loss} in epoch {epoch}"
        return Status(status="diverged", epoch=epoch, message=message)
    stop = train.stop_above
    if records and stop is not None and epoch >= stop.after and loss > stop.loss:
        message = f"the training loss is {loss:.6g} in epoch {epoch}, above train.stop_above.loss={stop.loss:g}"
        return Status(status="diverged", epoch=epoch, message=message)
    if epoch >= train.epochs:
        return Status(status="finished", epoch=epoch)
    return None
