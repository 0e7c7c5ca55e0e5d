"""What a trial writes down while it trains: records, a log for people, and (if asked) TensorBoard scalars."""

import math
from typing import Any

from wsnet.storage import TrialDirectory
from wsnet.storage.trial_directory import Record
from wsnet.training.errors import TrialError

__all__ = ["History"]

_LOG = {
    "Epoch": "epoch",
    "LR": "lr",
    "Train Loss": "train/loss",
    "Valid Loss": "validation/loss",
    "Train Acc.": "train/top1_error",
    "Valid Acc.": "validation/top1_error",
}


class History:
    """A trial's records in its directory.

    Args:
        directory: the trial's directory.
        records: records of the epochs that are done; whatever the directory holds beyond them is dropped.
        tensorboard: also write TensorBoard scalars; those of epochs beyond the records are dropped on reading.

    Raises:
        TrialError: TensorBoard is not installed, or the directory is remote.
    """

    def __init__(self, directory: TrialDirectory, records: list[Record], *, tensorboard: bool = False) -> None:
        self._directory = directory
        self._scalars = _scalar_writer(directory, purge_step=len(records) + 1) if tensorboard else None
        directory.write_records(records)
        self._write_log(records, fresh=True)

    def add(self, record: Record) -> None:
        """Write one epoch down."""
        self._directory.append_record(record)
        self._write_log([record], fresh=False)
        if self._scalars is not None:
            for key, value in record.items():
                self._scalars.add_scalar(key, value, int(record["epoch"]))
            self._scalars.flush()

    def close(self) -> None:
        """Let go of what is open."""
        if self._scalars is not None:
            self._scalars.close()

    def _write_log(self, records: list[Record], *, fresh: bool) -> None:
        lines = ["\t".join(_LOG)] if fresh else []
        lines += ["\t".join(_logged(record, key) for key in _LOG.values()) for record in records]
        text = "".join(f"{line}\n" for line in lines).encode()
        if fresh:
            self._directory.folder.write("log.tsv", text)
        else:
            self._directory.folder.append("log.tsv", text)


def _logged(record: Record, key: str) -> str:
    value = record.get(key, math.nan)
    if key == "epoch":
        return str(int(value))
    return f"{100 - value if key.endswith('_error') else value:.6g}"


def _scalar_writer(directory: TrialDirectory, *, purge_step: int) -> Any:
    if directory.folder.local is None:
        raise TrialError(
            "train.tensorboard needs a local folder, "
            f"but got {directory.folder.location}; leave it off for remote storage"
        )
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise TrialError("train.tensorboard needs the tensorboard package: pip install 'wsnet[tensorboard]'") from None
    return SummaryWriter(str(directory.folder.local), purge_step=purge_step)  # type: ignore[no-untyped-call]
