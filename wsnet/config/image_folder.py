"""A folder of images, `train/<class>/*` beside `test/<class>/*` (or `val/`): its contents. Opens no image."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from wsnet.config.datasets import DataError

__all__ = ["FolderLayout", "find_layout", "images_in"]

_IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".gif")
_TARS = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz")


@dataclass(frozen=True)
class FolderLayout:
    """Where the images of a folder are.

    Attributes:
        root: the folder.
        splits: names of its two folders, for training and test images: `train`, and `test` or `val`.
        classes: names of the class folders of the training images, in alphabetical order: label 0, 1, ...
        held: names of the class folders of each split; the test split may have fewer.
        signature: modification times of all these folders, which change whenever a file is added or removed.
    """

    root: Path
    splits: tuple[str, str]
    classes: tuple[str, ...]
    held: tuple[tuple[str, ...], tuple[str, ...]]
    signature: tuple[int, ...]

    @property
    def counts(self) -> tuple[int, int]:
        """Training and test images. Raises a DataError for an empty class."""
        return _counts(self)


def find_layout(root: Path) -> FolderLayout:
    """Find the splits and classes from the folders, without looking at the images.

    Raises:
        DataError: a folder is not as it should be; the message says which, and what to do.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    names = {entry.name for entry in os.scandir(root) if entry.is_dir()}
    test = [name for name in ("test", "val") if name in names]
    if len(test) == 2:
        raise DataError(f"{root}: has both test/ and val/; keep one of them (data.validation is carved out of train/)")
    if "train" not in names or not test:
        raise DataError(
            f"{root}: must have the folders train/ and test/ (or val/), with a folder of images for each class, "
            f"but has {_some(sorted(names)) or 'no folder'}{_unpacking(root)}"
        )
    classes, held = _class_folders(root / "train"), _class_folders(root / test[0])
    if unknown := sorted(set(held) - set(classes)):
        raise DataError(f"{root / test[0] / unknown[0]}: there is no class {unknown[0]!r} in {root / 'train'}")
    folders = [root / "train", root / test[0]]
    folders += [root / "train" / name for name in classes] + [root / test[0] / name for name in held]
    signature = tuple(folder.stat().st_mtime_ns for folder in folders)
    return FolderLayout(root, ("train", test[0]), classes, (classes, held), signature)


def images_in(folder: Path) -> list[os.DirEntry[str]]:
    """The images of one class, sorted by name. Folders, hidden files and files of other types are skipped.

    Raises:
        DataError: there are none, or one is not a file or has a name that is not UTF-8.
    """
    entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    images = [entry for entry in entries if entry.name.lower().endswith(_IMAGES) and not entry.is_dir()]
    for entry in images:
        _check_name(entry)
        if not entry.is_file() and os.path.exists(entry.path):  # Reading a pipe would wait for ever.
            raise DataError(f"{entry.path}: must be an image file, but is a pipe, a socket or a device; move it away")
    if not images:
        inner = next((f"; it holds the folder {entry.name!r}" for entry in entries if entry.is_dir()), "")
        raise DataError(
            f"{folder}: a class must have images directly in its folder ({', '.join(_IMAGES)}), but has none{inner}"
        )
    return sorted(images, key=lambda entry: entry.name)


@lru_cache(maxsize=8)  # Every setting of a sweep asks for it; a million files take a second to count.
def _counts(layout: FolderLayout) -> tuple[int, int]:
    train, test = (
        sum(len(images_in(layout.root / split / name)) for name in names)
        for split, names in zip(layout.splits, layout.held, strict=True)
    )
    return train, test


def _class_folders(folder: Path) -> tuple[str, ...]:
    entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    loose = sorted(entry.name for entry in entries if entry.name.lower().endswith(_IMAGES) and not entry.is_dir())
    if loose:
        raise DataError(
            f"{folder}: images must be sorted into a folder for each class, but {len(loose):,} are directly in it, "
            f"such as {loose[0]}{_sorting(folder, loose[0])}"
        )
    folders = [entry for entry in entries if entry.is_dir()]
    for entry in folders:
        _check_name(entry)
    classes = sorted(entry.name for entry in folders)
    if not classes:
        raise DataError(
            f"{folder}: must have a folder of images for each class, but has none{_unpacking(folder.parent)}"
        )
    return tuple(classes)


def _check_name(entry: os.DirEntry[str]) -> None:
    """Refuse a name that is not UTF-8, which cannot be stored or printed."""
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{os.fsencode(entry.path)!r}: file names must be UTF-8; rename it") from None


def _sorting(folder: Path, name: str) -> str:
    if not name.startswith("ILSVRC2012_val_"):
        return ""
    return (
        ".\nTwo ways to sort ImageNet's validation images:\n"
        f"  in {folder}, run the script valprep.sh of github.com/soumith/imagenetloader.torch, or\n"
        f"  put {_TARS[1]} and {_TARS[2]} into {folder.parent}, remove {folder}, and run\n"
        f"  {_by_torchvision(folder.parent, 'val')}"
    )


def _unpacking(root: Path) -> str:
    tars = [name for name in _TARS if (root / name).exists()]
    if not tars:
        return ""
    needed = ", ".join(name for name in _TARS if name not in tars)
    return (
        f".\n{' and '.join(tars)} {'is' if len(tars) == 1 else 'are'} there, but not unpacked and sorted"
        f"{f' (also needed: {needed})' if needed else ''}:\n"
        f"  {_by_torchvision(root, 'train')}\n  {_by_torchvision(root, 'val')}"
    )


def _by_torchvision(root: Path, split: str) -> str:
    return f"python -c \"from torchvision.datasets import ImageNet; ImageNet({str(root)!r}, split='{split}')\""


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
