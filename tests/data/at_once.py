"""Processes that load one image set at the same moment."""

import multiprocessing
import os
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch

from wsnet.config.data import DataConfig
from wsnet.data import file_hashes, load, sources

__all__ = ["Loaded", "load_at_once"]

_FORK = multiprocessing.get_context("fork")  # A fork has done its imports, which take seconds.


class Loaded(NamedTuple):
    """What a process did and found."""

    decodes: int
    files_hashed: int
    hash: str
    total: int


def load_at_once(count: int, data: DataConfig, *, cache: Path, root: Path) -> list[Loaded]:
    """What each of so many processes did that began to load at the same moment."""
    together = _FORK.Barrier(count)
    pipes = [_FORK.Pipe(duplex=False) for _ in range(count)]
    processes = [_FORK.Process(target=_load, args=(data, cache, root, together, sender)) for _, sender in pipes]
    for process in processes:
        process.start()
    assert all(receiver.poll(120) for receiver, _ in pipes)
    found = [receiver.recv() for receiver, _ in pipes]
    for process in processes:
        process.join()
    return found


def _load(data: DataConfig, cache: Path, root: Path, together: Any, sender: Connection) -> None:
    os.environ["WSNET_CACHE"] = str(cache)
    torch.set_num_threads(1)  # OpenMP's threads do not survive a fork.
    decode, hash_file = sources.FoundSet.decode, file_hashes._hash_file
    decoded: list[object] = []
    hashed: list[object] = []
    sources.FoundSet.decode = lambda found: decoded.append(1) or decode(found)  # type: ignore[method-assign]
    file_hashes._hash_file = lambda path: hashed.append(1) or hash_file(path)
    together.wait()
    images = load(data, root=root)
    total = 0 if data.streams else int(images.train.images.sum())  # type: ignore[union-attr]
    sender.send(Loaded(len(decoded), len(hashed), images.hash, total))
