"""Image files to one array: by several threads, since Pillow decodes outside Python's lock."""

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from wsnet.data.images import DataError, Pixels

__all__ = ["check_memory", "decode", "resized"]

_IMAGES_PER_TASK = 500
_SHARE_OF_MEMORY = 0.5


def decode(
    files: Sequence[bytes | Path | None],
    where: Callable[[int], str],
    shape: tuple[int, int, int],
    *,
    resize: bool = False,
) -> Pixels:
    """Decode image files.

    Args:
        files: each one's bytes or path; None for one that is missing.
        where: names an image in messages, from its position.
        shape: (channels, height, width) of the result. One channel is grey.
        resize: bring images of other sizes to this one by `resized`; else they are an error.

    Returns:
        uint8 (N, H, W, C).

    Raises:
        DataError: naming the first image that is damaged, or not as it should be.
    """
    channels, height, width = shape
    pixels = np.empty((len(files), height, width, channels), np.uint8)
    mode = {1: "L", 3: "RGB"}[channels]

    def decode_some(start: int) -> None:
        for index in range(start, min(start + _IMAGES_PER_TASK, len(files))):
            file = files[index]
            try:
                with Image.open(file if isinstance(file, Path) else io.BytesIO(file or b"")) as image:
                    if image.mode[0] in "IF":
                        raise DataError(f"{where(index)}: pixels must have 8 bits a channel, but are {image.mode!r}")
                    if not resize and image.size != (width, height):
                        raise DataError(
                            f"{where(index)}: an image must be {width} x {height} pixels, "
                            f"but is {image.width} x {image.height}"
                        )
                    picture = image.convert(mode)
                picture = resized(picture, height, width) if resize else picture
                pixels[index] = np.asarray(picture).reshape(height, width, channels)
            except DataError:
                raise
            except Exception as error:  # Pillow's plugins raise nearly anything on damaged bytes
                raise DataError(f"{where(index)}: not a decodable image ({_reason(error, file)})") from error

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for _ in pool.map(decode_some, range(0, len(files), _IMAGES_PER_TASK)):
            pass  # brings the exceptions of the first damaged images here
    return pixels


def _reason(error: Exception, file: bytes | Path | None) -> str:
    if isinstance(error, UnidentifiedImageError):  # Which would name an object in memory.
        return "of no known format" if file else "empty"
    return str(error)


def resized(image: Image.Image, height: int, width: int) -> Image.Image:
    """The least resizing that covers height x width (bilinear, antialiased), then the middle cut out.

    As torchvision's Resize(size) and CenterCrop(size) for squares; an image of that size already stays as it is.
    """
    scale = max(height / image.height, width / image.width)
    size = max(width, round(image.width * scale)), max(height, round(image.height * scale))
    if size != image.size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return image.crop((left, top, left + width, top + height)) if size != (width, height) else image


def check_memory(images: int, shape: tuple[int, int, int], where: str) -> None:
    """Refuse a set that would not fit into memory once it is decoded.

    Raises:
        DataError: saying how big it would be, and the way out.
    """
    needed = images * int(np.prod(shape))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > _SHARE_OF_MEMORY * memory:
        raise DataError(
            f"{where}: the decoded images must fit into half of the memory ({memory / 2e9:.1f} GB), but would take "
            f"{needed / 1e9:.1f} GB; set a smaller data.size, or data.stream: true for a folder"
        )
