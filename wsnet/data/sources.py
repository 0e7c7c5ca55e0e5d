"""Where an image set comes from: scikit-learn, Parquet files, the official archive, the network, files of one's own."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsnet.config.data import DataConfig
from wsnet.config.found import OWN_SETS
from wsnet.config.sets import SetFacts
from wsnet.data.digest import checked_set
from wsnet.data.digits import decode_digits, digits_files
from wsnet.data.images import DataError, DecodedSet, ImageSet
from wsnet.data.official import archive_files, decode_official, download, official_files
from wsnet.data.own_sets import Stat, decode_own, own_files
from wsnet.data.parquet import decode_parquet, parquet_files

__all__ = ["Source", "fetch_source", "find_source", "lock_name"]


@dataclass(frozen=True)
class Source:
    """An image set that was found.

    Attributes:
        name: the set's name.
        folder: where its files are.
        files: the files that its pixels and labels come from.
        facts: what is expected in them.
        read: reads and decodes them into training images, test images and class names.
        options: options of decoding, where there are some.
        measured: whether the mean and deviation have to be measured.
    """

    name: str
    folder: Path
    files: list[Stat]
    facts: SetFacts
    read: Callable[[], tuple[ImageSet, ImageSet, tuple[str, ...]]]
    options: tuple[Any, ...] = ()
    measured: bool = False

    def decode(self) -> DecodedSet:
        """Decode and check the images.

        Raises:
            DataError: naming the file that is damaged or not what its name says.
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


def find_source(data: DataConfig, root: Path) -> Source | None:
    """Look for a set on this machine: Parquet files first, then torchvision's folders. One's own must be there."""
    name, facts = data.name, data.facts
    if name in OWN_SETS:
        how = (str(data.path), facts.shape, data.size is not None)
        return Source(name, Path(str(data.path)), own_files(data), facts, lambda: decode_own(data), how, measured=True)
    if name == "digits":
        files = digits_files()
        return Source(name, files[0].parent, _stats(files), facts, decode_digits)
    if _exist(tables := parquet_files(name, root)):
        return Source(name, tables[0].parent, _stats(tables), facts, lambda: decode_parquet(name, root, facts))
    if _exist(unpacked := official_files(name, root)):
        return Source(name, unpacked[0].parent, _stats(unpacked), facts, lambda: decode_official(name, root))
    return None


def fetch_source(data: DataConfig, root: Path) -> Source:
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
            "Another folder is chosen by --data-root or WSNET_DATA.",
        ]
    )
