"""A trial's directory: what was asked, how it ran, what was measured, and how it ended."""

import json
import math
import re
import sys
import zlib
from dataclasses import asdict, dataclass
from typing import Any, Literal

from wsnet.storage.folder import DamagedFile, Folder

__all__ = [
    "LAYERS",
    "PAUSED",
    "STOPPED_BY_USER",
    "TIME",
    "Outcome",
    "Record",
    "Status",
    "TrialDirectory",
]

Record = dict[str, float]
"""One epoch's measurements: `epoch` (from 1), `lr`, `train/loss`, `test/top1_error` (percent), `time/...`, ..."""

TIME = "time/"
"""Prefix of the measurements of speed."""

PAUSED = "paused at a rung until its setting is decided about"
"""The message of a trial that the scheduler has paused."""

LAYERS = "layers/"
"""Prefix of measurements of `train.diagnostics`, `layers/<layer>/<quantity>`: hundreds per epoch, kept only here."""


STOPPED_BY_USER = "stopped by the user"
"""The message of a trial that the user stopped. It goes on where it was after `run_sweep.py retry`."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far a trial is.

    Attributes:
        status: `finished` and `diverged` trials are never run again; `stopped` ones were ended by the scheduler, for
            good, or by the user; `failed` ones crashed and are run again by the next start.
        epoch: last whole epoch.
        message: the reason, as readable text.
    """

    status: Literal["running", "finished", "diverged", "stopped", "failed"]
    epoch: int = 0
    message: str = ""

    @property
    def is_paused(self) -> bool:
        """Whether the scheduler has paused the trial."""
        return self.status == "running" and self.message == PAUSED

    @property
    def is_final(self) -> bool:
        """Whether the trial is never run again."""
        return self.has_ended and not (self.status == "stopped" and self.message == STOPPED_BY_USER)

    @property
    def has_ended(self) -> bool:
        """Whether the trial has finished, diverged or been stopped."""
        return self.status in ("finished", "diverged", "stopped")

    def lacks_records(self, records: list[Record]) -> bool:
        """Whether the trial has ended, but not every epoch has a record: the file was damaged afterwards."""
        return self.has_ended and len(records) < self.epoch


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a report needs to know about a trial that has started.

    Attributes:
        status: as in `Status`.
        record: of the last whole epoch; empty before the first.
        seconds: sum of all epochs' durations, cut off to milliseconds as in MLflow; None while the trial runs.
        is_compiled: whether its steps are compiled, which changes the rounding.
    """

    status: str
    record: Record
    seconds: float | None = None
    is_compiled: bool = False


class TrialDirectory:
    """Reads and writes the small files of one trial; every file is complete or absent.

    Each JSON object has a checksum, its member `crc32`, which is checked on reading; objects of older versions have
    none. Damage to a file after it was written is therefore noticed.

    Args:
        folder: the trial's folder.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def status(self) -> Status | None:
        """How far the trial is; None where it was never started.

        Raises:
            DamagedFile: the file is damaged.
        """
        data = self._read_json("status.json")
        try:
            return None if data is None else Status(**data)
        except TypeError:
            raise self._damaged("status.json") from None

    def write_status(self, status: Status) -> None:
        """Replace the status."""
        self._write_json("status.json", asdict(status))

    def records(self) -> list[Record]:
        """Complete records, by epoch. Non-finite values come back as NaN.

        Raises:
            DamagedFile: the file is damaged.
        """
        lines = (self.folder.read("records.jsonl") or b"").split(b"\n")
        # Anything after the last newline was left by a write that was cut off.
        return [self._record(line) for line in lines[:-1]]

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
        """What a report needs; None where the trial was never started.

        A trial whose status or records are damaged, or whose records do not reach the epoch of its final status, has
        the status `damaged` and no record. The next start of its sweep repairs it.
        """
        try:
            status = self.status()
            if status is None:
                return None
            data = self.folder.read("records.jsonl") or b""
            lines = data[: data.rfind(b"\n") + 1]
            last = lines[lines.rfind(b"\n", 0, -1) + 1 : -1]
            record = _measurements(self._checked("records.jsonl", last)) if last else {}
            for line in lines.split(b"\n")[:-2]:  # Millions, in a report of 10,000 trials: they are not parsed.
                if not _is_as_written(line):
                    self._checked("records.jsonl", line)
            times = [float(text) for text in _DURATIONS.findall(lines)]
        except (DamagedFile, ValueError):
            return Outcome(status="damaged", record={})
        if status.has_ended and lines.count(b"\n") < status.epoch:
            return Outcome(status="damaged", record={})
        seconds = None if status.status == "running" else int(1000 * sum(times)) / 1000
        return Outcome(status=status.status, record=record, seconds=seconds, is_compiled=self.is_compiled())

    def execution(self) -> dict[str, Any] | None:
        """The execution record; None before the first step.

        Raises:
            DamagedFile: the file is damaged.
        """
        return self._read_json("execution.json")

    def is_compiled(self) -> bool:
        """Whether the execution record says that the trial's steps are compiled."""
        try:
            execution = self.execution()
        except DamagedFile:  # Set aside at the next start; a report is about the records.
            return False
        return execution is not None and execution.get("compile") is True

    def write_execution(self, record: dict[str, Any]) -> None:
        """Write the execution record, once, before the first step."""
        self._write_json("execution.json", record)

    def set_aside_damaged(self) -> None:
        """Set aside the small files that are damaged. Lock the folder before."""
        for name, read in (
            ("status.json", self.status),
            ("execution.json", self.execution),
            ("records.jsonl", self.records),
        ):
            try:
                read()
            except DamagedFile:
                self.set_aside(name)

    def set_aside(self, name: str) -> None:
        """Rename a damaged file to NAME.damaged, and say so on standard error."""
        self.folder.rename(name, f"{name}.damaged")
        print(f"{self.folder.location}/{name} is damaged: kept as {name}.damaged, and not used", file=sys.stderr)

    def _read_json(self, name: str) -> dict[str, Any] | None:
        data = self.folder.read(name)
        return None if data is None else self._checked(name, data)

    def _write_json(self, name: str, data: dict[str, Any]) -> None:
        self.folder.write(name, (json.dumps(_with_checksum(data), indent=1, sort_keys=True) + "\n").encode())

    def _record(self, line: bytes) -> Record:
        if not _is_as_written(line):
            return _measurements(self._checked("records.jsonl", line))
        content = json.loads(line)
        del content["crc32"]
        return _measurements(content)

    def _checked(self, name: str, data: bytes) -> dict[str, Any]:
        try:
            content = json.loads(data)
            checksum = content.pop("crc32", None)
        except (ValueError, AttributeError, TypeError, RecursionError):
            raise self._damaged(name) from None
        if checksum is not None and checksum != _checksum(content):
            raise self._damaged(name)
        return dict(content)

    def _damaged(self, name: str) -> DamagedFile:
        return DamagedFile(f"{self.folder.location}/{name} is damaged")


_DURATIONS = re.compile(rb'"time/epoch_seconds": ([-+.\deE]+)')


def _measurements(content: dict[str, Any]) -> Record:
    return {key: math.nan if value is None else value for key, value in content.items()}


def _checksum(content: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def _with_checksum(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "crc32": _checksum(content)}


def _record_line(record: Record) -> bytes:
    # JSON has no NaN and no infinity; readers only need to know that the value was not finite.
    finite = {key: value if math.isfinite(value) else None for key, value in sorted(record.items())}
    return (json.dumps(_with_checksum(finite), allow_nan=False) + "\n").encode()


def _is_as_written(line: bytes) -> bool:
    """Whether the checksum at a line's end is that of the text before it: quick, and never true of a damaged line.

    It is false of lines of earlier versions, which did not sort their keys.
    """
    text, _, checksum = line.rpartition(b', "crc32": ')
    return checksum == b"%d}" % zlib.crc32(text + b"}")
