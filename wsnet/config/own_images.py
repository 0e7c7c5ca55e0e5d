"""What the files of a user's own image set say before anything is decoded: counts, classes, a shape."""

import io
from pathlib import Path

from wsnet.config.base import Config, PositiveInt
from wsnet.config.datasets import DataError
from wsnet.config.image_folder import find_layout, images_in
from wsnet.config.image_table import find_tables, first_image, label_count, opened

__all__ = ["OWN_SETS", "FoundConfig", "look_up"]

OWN_SETS = ("folder", "parquet")
"""Sets of which nothing is known before their files are looked at."""
_GREY = ("1", "L", "LA")


class FoundConfig(Config):
    """What was found in the files of a set of one's own. Leave it out: it is then found anew."""

    path: str
    """Where it was found."""
    train: PositiveInt
    """Training images."""
    test: PositiveInt
    """Test images."""
    classes: PositiveInt
    """Classes."""
    channels: PositiveInt
    """Channels of the first training image: 1 (grey) or 3."""
    height: PositiveInt
    """Rows of the first training image."""
    width: PositiveInt
    """Columns of the first training image."""


def look_up(name: str, path: str) -> FoundConfig:
    """Look at the files of a set: their names, and the first image's header. Decodes nothing.

    Args:
        name: `folder` or `parquet`.
        path: the folder.

    Raises:
        DataError: naming the file or folder that is not as it should be.
    """
    root = Path(path)
    try:
        if name == "folder":
            layout = find_layout(root)
            counts, classes = layout.counts, len(layout.classes)
            first = root / layout.splits[0] / layout.classes[0]
            first = first / images_in(first)[0].name
            shape = _shape(first.read_bytes(), str(first))
        else:
            train, test = find_tables(root)
            counts, classes = (_rows(train), _rows(test)), label_count(train)
            shape = _shape(first_image(train[0]), f"{train[0]}: row 0")
    except OSError as error:
        raise DataError(f"{root}: can not be read ({error})") from error
    if not all(counts) or not classes:
        raise DataError(f"{root}: must have training and test images, but has {counts[0]} and {counts[1]}")
    channels, height, width = shape
    return FoundConfig(
        path=path,
        train=counts[0],
        test=counts[1],
        classes=classes,
        channels=channels,
        height=height,
        width=width,
    )


def _rows(paths: list[Path]) -> int:
    rows = 0
    for path in paths:
        with opened(path) as file:
            rows += file.metadata.num_rows
    return rows


def _shape(image: bytes, where: str) -> tuple[int, int, int]:
    """(channels, height, width), read off an image's header."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(image)) as opened_image:
            return 1 if opened_image.mode in _GREY else 3, opened_image.height, opened_image.width
    except Exception as error:  # Pillow's plugins raise nearly anything on damaged bytes
        raise DataError(f"{where}: not a decodable image ({error})") from error
