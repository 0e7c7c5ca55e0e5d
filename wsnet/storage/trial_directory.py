"""A trial's directory: what was asked, how it ran, what was measured, and how it ended."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from wsnet.storage.folder import Folder

__all__ = ["LAYERS", "TIME", "Outcome", "Record", "Status", "TrialDirectory"]

Record = dict[str, float]
"""One epoch's measurements: `epoch` (from 1), `lr`, `train/loss`, `test/top1_error` (percent), `time/...`, ..."""

TIME = "time/"
"""Prefix of the measurements of speed."""

LAYERS = "layers/"
"""Prefix of measurements of `train.diagnostics`, `layers/<layer>/<quantity>`: hundreds per epoch, kept only here."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far a trial is.

    Attributes:
        status: `finished` and `diverged` trials are never run again; `stopped` ones were ended by the scheduler;
            `failed` ones crashed and are run again by the next start.
        epoch: last whole epoch.
        message: the reason, as readable text.
    """

    status: Literal["running", "finished", "diverged", "stopped", "failed"]
    epoch: int = 0
    message: str = ""

    @property
    def is_final(self) -> bool:
        """Whether the trial is never run again."""
        return self.status in ("finished", "diverged", "stopped")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a report needs to know about a trial that has started.

    Attributes:
        status: as in `Status`.
        record: of the last whole epoch; empty before the first.
    """

    status: str
    record: Record


class TrialDirectory:
    """Reads and writes the small files of one trial; every file is complete or absent.

    Args:
        folder: the trial's folder.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def status(self) -> Status | None:
        """How far the trial is; None where it was never started."""
        data = self._read_json("status.json")
        return None if data is None else Status(**data)

    def write_status(self, status: Status) -> None:
        """Replace the status."""
        self._write_json("status.json", asdict(status))

    def records(self) -> list[Record]:
        """Complete records, by epoch. Non-finite values come back as NaN."""
        lines = (self.folder.read("records.jsonl") or b"").split(b"\n")
        # Anything after the last newline was left by a write that was cut off.
        complete = [json.loads(line) for line in lines[:-1]]
        return [{key: math.nan if value is None else value for key, value in record.items()} for record in complete]

    def write_records(self, records: list[Record]) -> None:
        """Replace all records."""
        self.folder.write("records.jsonl", b"".join(map(_record_line, records)))

    def append_record(self, record: Record) -> None:
        """Add one epoch, after removing the partial line that a crash may have left."""
        written = self.folder.read("records.jsonl") or b""
        if written and not written.endswith(b"\n"):
            self.folder.write("records.jsonl", written[: written.rfind(b"\n") + 1])
        self.folder.append("records.jsonl", _record_line(record))

    def outcome(self) -> Outcome | None:
        """What a report needs; None where the trial was never started."""
        status = self.status()
        if status is None:
            return None
        records = self.records()
        return Outcome(status=status.status, record=records[-1] if records else {})

    def execution(self) -> dict[str, Any] | None:
        """The execution record; None before the first step."""
        return self._read_json("execution.json")

    def write_execution(self, record: dict[str, Any]) -> None:
        """Write the execution record, once, before the first step."""
        self._write_json("execution.json", record)

    def _read_json(self, name: str) -> dict[str, Any] | None:
        data = self.folder.read(name)
        return None if data is None else json.loads(data)

    def _write_json(self, name: str, data: dict[str, Any]) -> None:
        self.folder.write(name, (json.dumps(data, indent=1, sort_keys=True) + "\n").encode())


def _record_line(record: Record) -> bytes:
    # JSON has no NaN and no infinity; readers only need to know that the value was not finite.
    finite = {key: value if math.isfinite(value) else None for key, value in record.items()}
    return (json.dumps(finite, allow_nan=False) + "\n").encode()
