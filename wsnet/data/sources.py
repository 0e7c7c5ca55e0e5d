"""Where an image set comes from: scikit-learn, Parquet files, the official archive, the network, a user's own files."""

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wsnet.config.data import OWN_SETS, DataConfig
from wsnet.config.datasets import SetFacts
from wsnet.data.images import DataError, ImageSet, WholeSet, checked_set
from wsnet.data.official import archive_files, decode_official, download, official_files
from wsnet.data.own_images import Stat, decode_own, own_files
from wsnet.data.parquet import decode_parquet, parquet_files
from wsnet.data.split import complement, stratified

__all__ = ["FoundSet", "decode_digits", "digits_files", "fetch_source", "find_source", "lock_name"]


@dataclass(frozen=True)
class FoundSet:
    """An image set that was found.

    Attributes:
        name: the set's name.
        folder: where its files are.
        files: the files that its pixels and labels come from.
        facts: what they should contain.
        read: reads and decodes them into training images, test images and class names.
        options: decoding options, if any.
        measured: whether the mean and standard deviation must be measured.
    """

    name: str
    folder: Path
    files: list[Stat]
    facts: SetFacts
    read: Callable[[], tuple[ImageSet, ImageSet, tuple[str, ...]]]
    options: tuple[Any, ...] = ()
    measured: bool = False

    def decode(self) -> WholeSet[ImageSet]:
        """Decode and check the images.

        Raises:
            DataError: naming the file that is damaged or does not contain what is expected.
        """
        train, test, classes = self.read()
        return checked_set(
            train,
            test,
            classes,
            sizes=(self.facts.train, self.facts.test),
            shape=self.facts.shape,
            source=str(self.folder),
            measured=self.measured,
        )


def find_source(data: DataConfig, root: Path) -> FoundSet | None:
    """Look for a set on this machine: Parquet files first, then torchvision's folders. A user's own set must exist."""
    name, facts = data.name, data.facts
    if name in OWN_SETS:
        how = (str(data.path), facts.shape, data.size is not None)
        return FoundSet(
            name, Path(str(data.path)), own_files(data), facts, lambda: decode_own(data), how, measured=True
        )
    if name == "digits":
        files = digits_files()
        return FoundSet(name, files[0].parent, _stats(files), facts, decode_digits)
    if _exist(tables := parquet_files(name, root)):
        return FoundSet(name, tables[0].parent, _stats(tables), facts, lambda: decode_parquet(name, root, facts))
    if _exist(unpacked := official_files(name, root)):
        return FoundSet(name, unpacked[0].parent, _stats(unpacked), facts, lambda: decode_official(name, root))
    return None


def fetch_source(data: DataConfig, root: Path) -> FoundSet:
    """Unpack or download the official archive of a set that `find_source` did not find.

    Raises:
        DataError: saying what was looked for and where, and the ways to get it.
    """
    name = data.name
    try:
        download(name, root)
    except Exception as error:
        raise DataError(_not_found(name, root, f"{type(error).__name__}: {error}")) from error
    source = find_source(data, root)
    if source is None:
        raise DataError(_not_found(name, root, "the archive did not hold the expected files"))
    return source


def lock_name(data: DataConfig) -> str:
    """File in the cache that is locked while this set is decoded."""
    place = f"-{hashlib.sha256(data.path.encode()).hexdigest()[:8]}" if data.path else ""
    return f"{data.name}{place}.lock"


def _stats(files: list[Path]) -> list[Stat]:
    stats = [(str(file.resolve()), file.stat()) for file in files]
    return [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def _exist(files: list[Path]) -> bool:
    return all(file.is_file() for file in files)


def _not_found(name: str, root: Path, reason: str) -> str:
    tables, archives, unpacked = parquet_files(name, root), archive_files(name, root), official_files(name, root)
    looked_for = [
        ("Hugging Face Parquet files", tables),
        ("torchvision's files", unpacked),
        ("the official archive", archives),
    ]
    lines = [f"  {kind}: {file}{' (found)' if file.is_file() else ''}" for kind, files in looked_for for file in files]
    return "\n".join(
        [
            f"the images of {name!r} are not in {str(root)!r} and could not be downloaded ({reason}). Looked for",
            *lines,
            "Two ways to get them:",
            f"  put {tables[0].name} and {tables[1].name} into {tables[0].parent}, or",
            f"  run once with a network connection, or put {', '.join(file.name for file in archives)} "
            f"into {archives[0].parent}.",
            "To use another folder, set --data-root or WSNET_DATA.",
        ]
    )


_TEST_SIZE = 300


def digits_files() -> list[Path]:
    """The file of scikit-learn that holds the digits, found without importing scikit-learn (which takes a second).

    Raises:
        DataError: if scikit-learn is not installed.
    """
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("'digits' comes with scikit-learn, which is not installed: pip install scikit-learn")
    return [Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"]


def decode_digits() -> tuple[ImageSet, ImageSet, tuple[str, ...]]:
    """Read the digits and divide them by wsnet's fixed stratified split (they have no official one).

    Returns:
        1,497 training images, 300 test images, the classes. Pixel values 0 to 16 become round(value * 255 / 16).
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * 255 / 16).astype(np.uint8)[..., None]
    everything = ImageSet(pixels, digits.target.astype(np.int64))
    test = stratified(everything.labels, _TEST_SIZE, purpose="digits test")
    train = complement(test, len(everything))
    return everything.subset(train), everything.subset(test), tuple(str(digit) for digit in range(10))
