"""The official archives, read by torchvision's data sets: from the data folder, or downloaded and checked first."""

import contextlib
import os
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from wsnet.data.images import DataError, ImageSet

__all__ = ["archive_files", "decode_official", "download", "official_files"]

# Seconds until a server that does not answer counts as unreachable.
_TIMEOUT = 5.0


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Where torchvision keeps a set below its root, so that a cached set is found without importing torchvision."""

    dataset: str
    folder: str
    files: tuple[str, ...]
    archives: tuple[str, ...]


_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_IDX_ARCHIVES = tuple(f"{file}.gz" for file in _IDX)
_LAYOUTS = {
    "cifar10": _Layout(
        dataset="CIFAR10",
        folder="cifar-10-batches-py",
        files=(*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"),
        archives=("../cifar-10-python.tar.gz",),
    ),
    "cifar100": _Layout(
        dataset="CIFAR100",
        folder="cifar-100-python",
        files=("train", "test", "meta"),
        archives=("../cifar-100-python.tar.gz",),
    ),
    "mnist": _Layout(dataset="MNIST", folder="MNIST/raw", files=_IDX, archives=_IDX_ARCHIVES),
    "fashion_mnist": _Layout(dataset="FashionMNIST", folder="FashionMNIST/raw", files=_IDX, archives=_IDX_ARCHIVES),
}


def official_files(name: str, root: Path) -> list[Path]:
    """The unpacked files of the official archive."""
    layout = _LAYOUTS[name]
    return [root / layout.folder / file for file in layout.files]


def archive_files(name: str, root: Path) -> list[Path]:
    """The official archive's downloaded files, where torchvision looks for them."""
    layout = _LAYOUTS[name]
    return [Path(os.path.normpath(root / layout.folder / archive)) for archive in layout.archives]


def decode_official(name: str, root: Path) -> tuple[ImageSet, ImageSet, tuple[str, ...]]:
    """Read the unpacked official files.

    Returns:
        The training images, the test images, the names of the classes.

    Raises:
        DataError: if they are damaged.
    """
    dataset = _dataset(name)
    try:
        train, test = (dataset(str(root), train=part, download=False) for part in (True, False))
    except Exception as error:  # torchvision raises nearly anything on damaged files
        folder = official_files(name, root)[0].parent
        raise DataError(f"{folder}: not the intact official files of {name!r} ({error}); delete the folder") from error
    return _arrays(train), _arrays(test), tuple(str(label) for label in train.classes)


def download(name: str, root: Path) -> None:
    """Unpack the official archive, downloading it first if it is not there.

    Without a network it fails within seconds. Several processes may call it at once: one downloads, the others wait.

    Raises:
        Exception: any failure of the download or of torchvision; there are too many kinds to list.
    """
    dataset = _dataset(name)
    if not all(file.exists() for file in archive_files(name, root)):  # Without a server, nothing is left behind.
        _require_server([dataset.url] if hasattr(dataset, "url") else dataset.mirrors)
    was_there, lock = root.exists(), root / f".{name}.lock"
    root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock):
            if all(file.exists() for file in official_files(name, root)):
                return  # another process was faster
            with _socket_timeout(_TIMEOUT):
                dataset(str(root), train=True, download=True)
    except Exception:
        if not was_there:
            _remove_empty(root, root / _LAYOUTS[name].folder, lock)
        raise


def _remove_empty(root: Path, folder: Path, lock: Path) -> None:
    """Remove what a failed download has made, a folder below `root` and the lock, as far as that is empty."""
    for each in (folder, *folder.parents):
        with contextlib.suppress(OSError):  # It is not there, or not empty.
            if each == root and list(root.iterdir()) == [lock]:
                lock.unlink()
            each.rmdir()
        if each == root:
            return


def _dataset(name: str) -> Any:
    import torchvision.datasets

    return getattr(torchvision.datasets, _LAYOUTS[name].dataset)


def _arrays(dataset: Any) -> ImageSet:
    """CIFAR's uint8 (N, H, W, 3) numpy data or MNIST's uint8 (N, H, W) tensor, as (N, H, W, C)."""
    pixels = np.asarray(dataset.data, dtype=np.uint8)
    labels = np.asarray(dataset.targets, dtype=np.int64)
    return ImageSet(pixels if pixels.ndim == 4 else pixels[..., None], labels)


def _require_server(urls: list[str]) -> None:
    """Fail within seconds if no server answers; torchvision would try each file of each mirror in turn.

    The request runs in a thread, because the socket timeout does not apply to a DNS lookup that gets no answer.
    """
    answers: dict[str, str] = {}

    def ask(url: str) -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_TIMEOUT):
                answers[url] = ""
        except urllib.error.HTTPError:
            answers[url] = ""  # a server that refuses HEAD is reachable
        except Exception as error:
            answers[url] = str(error)

    threads = [threading.Thread(target=ask, args=(url,), daemon=True) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_TIMEOUT + 1)
    if "" not in answers.values():
        raise ConnectionError("; ".join(f"{url}: {answers.get(url, 'no answer')}" for url in urls))


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
