"""From image files to bytes of one size: decoded, cropped and resized one by one, since each has a size of its own.

torchvision's v2 functions on uint8 tensors: three times as fast as the same on PIL images, and never off by more than 1
of 255 from them. JPEG, PNG, WebP and GIF are decoded by torchvision, other kinds by Pillow; what is not RGB becomes it,
and an orientation in a photograph's EXIF data is not followed, as in torchvision's ImageFolder.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from wsnet.data.crop import RandomCrops
from wsnet.data.files import ImageFiles
from wsnet.data.images import DataError

__all__ = ["evaluation_images", "training_images"]


def training_images(
    files: ImageFiles, samples: Sequence[int] | NDArray[np.int64], crops: RandomCrops, epoch: int
) -> Tensor:
    """Each image's random crop, resized, and mirrored or not: uint8 (B, S, S, 3).

    Raises:
        DataError: naming the file that is damaged.
    """
    from torchvision.transforms.v2 import functional as F

    images = _empty(len(samples), files.size)
    for place, (sample, draw) in enumerate(zip(samples, crops.draws(epoch, samples), strict=True)):
        image = _decoded(files.path(sample))
        top, left, height, width = crops.box(draw, image.shape[1], image.shape[2])
        size = [files.size, files.size]
        image = F.resized_crop(image, top, left, height, width, size, antialias=True)
        images[place] = (image.flip(2) if draw.is_mirrored else image).permute(1, 2, 0)
    return images


def evaluation_images(files: ImageFiles, samples: Sequence[int] | NDArray[np.int64]) -> Tensor:
    """Each image resized to a shorter side of 8/7 of the size (256 for 224), its middle cut out: uint8 (B, S, S, 3).

    Raises:
        DataError: naming the file that is damaged.
    """
    from torchvision.transforms.v2 import functional as F

    images = _empty(len(samples), files.size)
    for place, sample in enumerate(samples):
        image = F.resize(_decoded(files.path(sample)), [round(files.size * 8 / 7)], antialias=True)
        images[place] = F.center_crop(image, [files.size, files.size]).permute(1, 2, 0)
    return images


def _empty(count: int, size: int) -> Tensor:
    return torch.empty((count, size, size, 3), dtype=torch.uint8)


def _decoded(path: Path) -> Tensor:
    """An image as uint8 (3, H, W), in channels_last memory."""
    from torchvision.io import ImageReadMode, decode_image

    try:
        content = path.read_bytes()
        try:
            image: Tensor = decode_image(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB)
            return image
        except RuntimeError:  # A kind that torchvision does not know, or a damaged file: Pillow knows what is wrong.
            with Image.open(io.BytesIO(content)) as picture:
                return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
    except Exception as error:  # Pillow's plugins raise nearly anything on damaged bytes
        reason = "of no known format" if "cannot identify" in str(error) else error
        raise DataError(f"{path}: not a decodable image ({reason})") from error
