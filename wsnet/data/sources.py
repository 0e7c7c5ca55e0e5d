"""Where a named image set comes from: scikit-learn, Parquet files, the official archive, or the network."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wsnet.config.sets import IMAGE_SETS
from wsnet.data.digest import checked_set
from wsnet.data.digits import decode_digits, digits_files
from wsnet.data.images import DataError, DecodedSet, ImageSet
from wsnet.data.official import archive_files, decode_official, download, official_files
from wsnet.data.parquet import decode_parquet, parquet_files

__all__ = ["Source", "fetch_source", "find_source"]


@dataclass(frozen=True)
class Source:
    """An image set that was found.

    Attributes:
        name: the set's name.
        files: the files that its pixels and labels come from.
        read: reads and decodes them into training images, test images and class names.
    """

    name: str
    files: tuple[Path, ...]
    read: Callable[[], tuple[ImageSet, ImageSet, tuple[str, ...]]]

    def decode(self) -> DecodedSet:
        """Decode and check the images.

        Raises:
            DataError: naming the file that is damaged or not what its name says.
        """
        facts = IMAGE_SETS[self.name]
        train, test, classes = self.read()
        return checked_set(
            train,
            test,
            classes,
            sizes=(facts.train, facts.test),
            shape=facts.shape,
            source=str(self.files[0].parent),
        )


def find_source(name: str, root: Path) -> Source | None:
    """Look for a set on this machine: Parquet files first, then torchvision's folders."""
    if name == "digits":
        return Source(name, tuple(digits_files()), decode_digits)
    facts = IMAGE_SETS[name]
    if _exist(tables := parquet_files(name, root)):
        return Source(name, tuple(tables), lambda: decode_parquet(name, root, facts))
    if _exist(unpacked := official_files(name, root)):
        return Source(name, tuple(unpacked), lambda: decode_official(name, root))
    return None


def fetch_source(name: str, root: Path) -> Source:
    """Unpack or download the official archive of a set that `find_source` did not find.

    Raises:
        DataError: saying what was looked for and where, and the ways to get it.
    """
    try:
        download(name, root)
    except Exception as error:
        raise DataError(_not_found(name, root, f"{type(error).__name__}: {error}")) from error
    source = find_source(name, root)
    if source is None:
        raise DataError(_not_found(name, root, "the archive did not hold the expected files"))
    return source


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
