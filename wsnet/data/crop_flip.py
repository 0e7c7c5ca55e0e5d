"""Random crops and flips of a whole batch in one gather of pixels, on the device that holds the images.

Every crop of a padded image, flipped or not, is one of V = (2 padding + 1)^2 (times 2 with flips) variants. A table
holds the pixel indices of every variant; a batch looks up its rows of the table and gathers its pixels, so that a flip
on top of a crop costs nothing. Measured for 128 x 32 x 32 x 3 on one CPU thread: 0.3 ms, against 0.5 ms for strided
windows followed by a separate flip.
"""

import torch
from torch import Tensor

from wsnet.config.augment import AugmentConfig
from wsnet.data.random import Draws

__all__ = ["CropFlip"]


class CropFlip:
    """Padded random crops (K. He et al., "Deep Residual Learning", CVPR 2016, section 4.2) and horizontal flips."""

    def __init__(self, config: AugmentConfig, *, height: int, width: int, device: torch.device | str = "cpu") -> None:
        """Prepare the table of variants.

        Args:
            config: the padding in pixels, and whether to flip.
            height: rows of an image.
            width: columns of an image.
            device: where the images are.
        """
        self.padding = config.crop_padding
        self.flip = config.flip
        self.offsets = 2 * self.padding + 1
        self.padded = (height + 2 * self.padding, width + 2 * self.padding)
        self._table = self._pixel_indices(height, width).to(device)

    def _pixel_indices(self, height: int, width: int) -> Tensor:
        """Pixel indices into a padded image: int32 (V, H * W); variant = (flip * offsets + row) * offsets + column."""
        rows, columns = torch.arange(height), torch.arange(width)
        sides = torch.stack([columns, columns.flip(0)] if self.flip else [columns])
        offset = torch.arange(self.offsets)
        row = (offset[:, None] + rows)[None, :, None, :, None]  # (1, offsets, 1, H, 1)
        column = (offset[None, :, None] + sides[:, None, :])[:, None, :, None, :]  # (sides, 1, offsets, 1, W)
        return (row * self.padded[1] + column).to(torch.int32).reshape(-1, height * width)

    def variants(self, draws: Draws) -> Tensor:
        """Draw the variant of each sample.

        Enabling flips does not change the crops.

        Args:
            draws: the random numbers of the samples (B,).

        Returns:
            int64 (B,), in [0, V).
        """
        variants = draws.integers("crop", self.offsets**2)
        if self.flip:
            variants += draws.integers("flip", 2) * self.offsets**2
        return variants

    def __call__(self, images: Tensor, variants: Tensor) -> Tensor:
        """Apply each image's variant.

        Args:
            images: uint8 (B, H, W, C), contiguous.
            variants: int64 (B,).

        Returns:
            uint8 (B, H, W, C); padding is black (0 before normalization).
        """
        if len(self._table) == 1:
            return images
        batch, height, width, channels = images.shape
        padded_height, padded_width = self.padded
        if self.padding:
            inner = slice(self.padding, -self.padding)
            canvas = images.new_zeros(batch, padded_height, padded_width, channels)
            canvas[:, inner, inner] = images
            images = canvas
        size = padded_height * padded_width
        # int32 indices take half the time of int64 ones
        first = torch.arange(0, batch * size, size, dtype=torch.int32, device=images.device)
        pixels = self._table.index_select(0, variants).add_(first[:, None])
        # gathering scalars takes a quarter of the time of gathering rows of length 1
        source = images.view(-1) if channels == 1 else images.view(-1, channels)
        gathered = source.index_select(0, pixels.view(-1))
        return gathered.view(batch, height, width, channels)
