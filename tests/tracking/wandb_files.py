"""Reads W&B's own files, `run-ID.wandb`: a LevelDB log whose records are protocol buffers."""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["OfflineRun", "offline_runs"]

_BLOCK, _HEADER = 32768, 7
_FULL, _LAST = 1, 4


@dataclass
class OfflineRun:
    """What a file says of a run."""

    run_id: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    project: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    exit_code: int | None = None


def offline_runs(folder: Path) -> dict[str, OfflineRun]:
    """The runs in a folder `wandb`, by id. Each has one file."""
    runs = [_read(path) for path in folder.glob("offline-run-*/*.wandb")]
    by_id = {run.run_id: run for run in runs}
    assert len(by_id) == len(runs), "two files of one run"
    return by_id


def _read(path: Path) -> OfflineRun:
    from wandb.proto.wandb_internal_pb2 import Record

    run = OfflineRun()
    for data in _records(path.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found = record.run
            run.run_id, run.name, run.project = found.run_id, found.display_name, found.project
            run.group, run.job_type, run.tags = found.run_group, found.job_type, list(found.tags)
            run.config |= _values(found.config.update)
        elif kind == "config":
            run.config |= _values(record.config.update)
        elif kind == "history":
            run.history.append(_values(record.history.item))
        elif kind == "summary":
            run.summary |= _values(record.summary.update)
        elif kind == "files":
            run.files += [file.path for file in record.files.files]
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


def _values(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def _records(data: bytes) -> Iterator[bytes]:
    assert data[:4] == b":W&B"
    place, parts = _HEADER, b""
    while place + _HEADER <= len(data):
        left = _BLOCK - place % _BLOCK
        if left < _HEADER:  # The rest of a block that no header fits into.
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + _HEADER])
        parts += data[place + _HEADER : place + _HEADER + length]
        place += _HEADER + length
        if kind in (_FULL, _LAST):
            yield parts
            parts = b""
