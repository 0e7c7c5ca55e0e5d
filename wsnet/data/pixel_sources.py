"""The two sources of pixels: images in memory, and image files that are read when a batch asks for them.

Each gives byte images of one size: training images randomly cropped and flipped, evaluation images not augmented (for
files: the resized centre). `wsnet.data.resized_crop` does the cropping. A batch's contents are a pure function of its
indices.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsnet.config.augment import AugmentConfig, RandomResizedCropConfig
from wsnet.data.batches import ByteBatch, TensorSet
from wsnet.data.crop_flip import CropFlip
from wsnet.data.decode import decoded_file
from wsnet.data.images import ImageFiles
from wsnet.data.random import Draws
from wsnet.data.resized_crop import centre_crop, crop_attempts, file_crop_attempts, resized_crop, resized_crops
from wsnet.data.sampler import BatchIndices, BatchSampler

__all__ = ["ArrayPixels", "FilePixels", "evaluation_bytes", "evaluation_images"]


class ArrayPixels:
    """Pixels of a set in memory, on the device that holds it.

    An epoch's order, and the crop and flip of each sample, are computed when the epoch starts; a step only slices and
    gathers, so that nothing waits for the device.

    Args:
        split: the training images.
        sampler: which of them each step needs.
        augment: the augmentation.

    Attributes:
        height: rows of the resulting images.
        width: columns of the resulting images.
    """

    def __init__(self, split: TensorSet, sampler: BatchSampler, augment: AugmentConfig) -> None:
        self._split, self._sampler = split, sampler
        self._crop = augment.random_resized_crop
        _, height, width, _ = split.images.shape
        size = None if self._crop is None else self._crop.size
        self.height, self.width = (height, width) if size is None else (size, size)
        self._crop_flip = CropFlip(augment, height=self.height, width=self.width, device=split.images.device)
        self._epoch: tuple[int, Tensor, Tensor] | None = None  # the epoch asked for last

    def __call__(self, indices: BatchIndices) -> ByteBatch:
        """The images of a training batch."""
        order, variants = self._order_and_variants(indices.draws.epoch)
        places = indices.places
        places = places if isinstance(places, slice) else places.to(order.device, non_blocking=True)
        samples = order[places]
        images = self._resized(self._split.images.index_select(0, samples), indices.draws)
        labels = self._split.labels.index_select(0, samples)
        return ByteBatch(self._crop_flip(images, variants[places]), labels, indices)

    def _order_and_variants(self, epoch: int) -> tuple[Tensor, Tensor]:
        """The order of the epoch's samples, on the images' device, and their variants; int64 (N,) each."""
        if self._epoch is None or self._epoch[0] != epoch:
            draws = self._sampler.epoch(epoch).to(self._split.images.device)
            self._epoch = (epoch, draws.samples, self._crop_flip.variants(draws))
        return self._epoch[1:]

    def _resized(self, images: Tensor, draws: Draws) -> Tensor:
        if self._crop is None:
            return images
        _, height, width, _ = images.shape
        boxes = torch.from_numpy(crop_attempts(self._crop, draws).boxes(height, width))
        planes = resized_crops(images.permute(0, 3, 1, 2), boxes, height=self.height, width=self.width)
        return planes.permute(0, 2, 3, 1).contiguous()


class FilePixels:
    """Pixels of image files, which differ in size: read, decoded, cropped and resized one by one.

    Args:
        files: the training images.
        augment: the augmentation; without `random_resized_crop`, its defaults apply, since the sizes differ.
    """

    def __init__(self, files: ImageFiles, augment: AugmentConfig) -> None:
        self._files, self._flip = files, augment.flip
        self._crop = augment.random_resized_crop or RandomResizedCropConfig()
        self.height = self.width = files.size

    def __call__(self, indices: BatchIndices) -> ByteBatch:
        """The images of a training batch.

        Raises:
            DataError: naming the file that is damaged.
        """
        draws = indices.draws
        attempts, samples = file_crop_attempts(self._crop, draws), draws.samples.numpy()
        is_mirrored = (draws.integers("flip", 2) * self._flip).bool().tolist()
        images = _empty(len(samples), self._files.size)
        for place, sample in enumerate(samples):
            image = decoded_file(self._files.path(sample))
            image = resized_crop(image, attempts.box(place, image.shape[1], image.shape[2]), self._files.size)
            images[place] = (image.flip(2) if is_mirrored[place] else image).permute(1, 2, 0)
        return ByteBatch(images, torch.from_numpy(self._files.labels[samples]), indices)


def evaluation_bytes(split: TensorSet | ImageFiles, first: int, stop: int) -> TensorSet:
    """The images of a split from `first` up to `stop`, in order and not augmented.

    Raises:
        DataError: naming the file that is damaged.
    """
    if isinstance(split, ImageFiles):
        images, labels = evaluation_images(split, range(first, stop)), split.labels[first:stop].copy()
        return TensorSet(images, torch.from_numpy(labels))
    return TensorSet(split.images[first:stop], split.labels[first:stop])


def evaluation_images(files: ImageFiles, samples: Sequence[int] | NDArray[np.int64]) -> Tensor:
    """Images of files, not augmented: their resized centre; uint8 (B, S, S, 3).

    Raises:
        DataError: naming the file that is damaged.
    """
    images = _empty(len(samples), files.size)
    for place, sample in enumerate(samples):
        images[place] = centre_crop(decoded_file(files.path(sample)), files.size).permute(1, 2, 0)
    return images


def _empty(count: int, size: int) -> Tensor:
    return torch.empty((count, size, size, 3), dtype=torch.uint8)
