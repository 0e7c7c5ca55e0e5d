"""From image files to pixels: a whole set at once into an array, or one file of a streamed set.

A whole set is decoded by Pillow in several threads, since Pillow releases the interpreter lock. For a streamed set,
torchvision decodes JPEG, PNG, WebP and GIF, which is faster, and Pillow all other formats. Other colour modes are
converted to RGB (to grey for one channel) and EXIF orientation is ignored, as in torchvision's ImageFolder.
"""

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from wsnet.data.images import DataError, Pixels

__all__ = ["check_memory", "decode", "decoded_file", "fitted"]

_IMAGES_PER_TASK = 500
_SHARE_OF_MEMORY = 0.5
_MOST_PIXELS = 100_000_000
"""Of a streamed image: 300 MB once decoded."""


def decode(
    files: Sequence[bytes | Path | None],
    where: Callable[[int], str],
    shape: tuple[int, int, int],
    *,
    resize: bool = False,
) -> Pixels:
    """Decode image files.

    Args:
        files: bytes or path of each file; None if it is missing.
        where: maps an image's position to its name in error messages.
        shape: (channels, height, width) of the result. One channel means greyscale.
        resize: whether to resize images of other sizes with `fitted`; otherwise they are an error.

    Returns:
        uint8 (N, H, W, C).

    Raises:
        DataError: naming the first image that is damaged or not as expected.
    """
    channels, height, width = shape
    pixels = np.empty((len(files), height, width, channels), np.uint8)

    def decode_some(start: int) -> None:
        for index in range(start, min(start + _IMAGES_PER_TASK, len(files))):
            try:
                pixels[index] = _decoded(files[index], shape, resize)
            except DataError as error:
                raise DataError(f"{where(index)}: {error}") from None
            except Exception as error:  # Pillow's plugins raise nearly anything on damaged bytes
                reason = _reason(error, files[index])
                raise DataError(f"{where(index)}: not a decodable image ({reason})") from error

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for _ in pool.map(decode_some, range(0, len(files), _IMAGES_PER_TASK)):
            pass  # raises the exception of the first damaged image here
    return pixels


def _decoded(file: bytes | Path | None, shape: tuple[int, int, int], resize: bool) -> Pixels:
    channels, height, width = shape
    with Image.open(file if isinstance(file, Path) else io.BytesIO(file or b"")) as image:
        if image.mode[0] in "IF":
            raise DataError(f"pixels must have 8 bits a channel, but are {image.mode!r}")
        if not resize and image.size != (width, height):
            raise DataError(f"an image must be {width} x {height} pixels, but is {image.width} x {image.height}")
        picture = image.convert({1: "L", 3: "RGB"}[channels])
    picture = fitted(picture, height, width) if resize else picture
    return np.asarray(picture).reshape(height, width, channels)


def _reason(error: Exception, file: bytes | Path | None) -> str:
    if isinstance(error, UnidentifiedImageError):  # Its message names an object in memory.
        return "unknown format" if file else "empty"
    return str(error)


def fitted(image: Image.Image, height: int, width: int) -> Image.Image:
    """Resize to just cover height x width (bilinear, antialiased), then crop the centre.

    For squares, as torchvision's Resize(size) and CenterCrop(size); an image already of that size is unchanged.
    """
    scale = max(height / image.height, width / image.width)
    size = max(width, round(image.width * scale)), max(height, round(image.height * scale))
    if size != image.size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return image.crop((left, top, left + width, top + height)) if size != (width, height) else image


def decoded_file(path: Path) -> Tensor:
    """An image as uint8 (3, H, W), in channels_last memory.

    Raises:
        DataError: naming the file if it is damaged.
    """
    from torchvision.io import ImageReadMode, decode_image

    try:
        content = path.read_bytes()
        _check_size(content)
        try:
            image: Tensor = decode_image(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB)
            return image
        except RuntimeError:  # A format unknown to torchvision, or a damaged file, on which Pillow's error is clearer.
            with Image.open(io.BytesIO(content)) as picture:
                return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except Exception as error:  # Pillow's plugins raise nearly anything on damaged bytes
        reason = "unknown format" if "cannot identify" in str(error) else error
        raise DataError(f"{path}: not a decodable image ({reason})") from error


def _check_size(content: bytes) -> None:
    """Refuse a file that would take gigabytes once decoded, by its header.

    Raises:
        DataError: saying how many pixels it has.
    """
    rule = f"an image must have at most {_MOST_PIXELS:,} pixels"
    try:
        with Image.open(io.BytesIO(content)) as picture:
            width, height = picture.size
    except Image.DecompressionBombError as error:  # Pillow's own limit is somewhat higher.
        raise DataError(f"{rule}: {error}") from None
    except UnidentifiedImageError:  # torchvision may know the format.
        return
    if width * height > _MOST_PIXELS:
        raise DataError(f"{rule}, but has {width} x {height}")


def check_memory(images: int, shape: tuple[int, int, int], where: str) -> None:
    """Refuse a set that would not fit into memory once decoded.

    Raises:
        DataError: saying how much memory it would take, and what to do instead.
    """
    needed = images * int(np.prod(shape))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > _SHARE_OF_MEMORY * memory:
        raise DataError(
            f"{where}: the decoded images must fit into half of the memory ({memory / 2e9:.1f} GB), but would take "
            f"{needed / 1e9:.1f} GB; set a smaller data.size, or data.stream: true for a folder"
        )
