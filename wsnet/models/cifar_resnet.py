"""ResNet for small images (He et al. 2016, arXiv:1512.03385, section 4.2).

    layer     output (32x32 images)   filters
    conv1     32x32                   3x3, 16
    layer1    32x32                   2n of 3x3, 16
    layer2    16x16                   2n of 3x3, 32
    layer3    8x8                     2n of 3x3, 64
    fc        1x1                     average pool, linear

6n + 2 weighted layers in all. The paper's shortcuts there are option A; most later work uses B.
"""

from typing import Literal

from torch import Tensor, nn

from wsnet.layers import Layers, Size
from wsnet.models.blocks import BasicBlock, strided

__all__ = ["CifarResNet"]


class CifarResNet(nn.Module):
    """Three stages of n basic blocks; the second and third halve the map and double the channels."""

    def __init__(
        self,
        layers: Layers,
        *,
        depth: int,
        width: int = 16,
        shortcut: Literal["A", "B"] = "B",
        classes: int,
        shape: tuple[int, int, int],
    ) -> None:
        """Build the network.

        Args:
            layers: the maker of convolutions and norms.
            depth: weighted layers, 6n + 2.
            width: channels of the first stage.
            shortcut: A (subsampling and zeros) or B (1x1 convolution and norm) where a stage changes size.
            classes: number of classes.
            shape: (channels, height, width) of one image.
        """
        super().__init__()
        n, remainder = divmod(depth - 2, 6)
        if n < 1 or remainder:
            raise ValueError(f"depth must be 6n + 2 with n >= 1, but got depth={depth}")
        size: Size = (shape[1], shape[2])

        def stage(in_channels: int, channels: int, size: Size, stride: int) -> nn.Sequential:
            blocks = [BasicBlock(layers, in_channels, channels, channels, size=size, stride=stride, shortcut=shortcut)]
            size = strided(size, stride)
            blocks += [BasicBlock(layers, channels, channels, channels, size=size, stride=1) for _ in range(n - 1)]
            return nn.Sequential(*blocks)

        self.conv1 = layers.conv(shape[0], width, 3)
        self.bn1 = layers.norm(width, size=size)
        self.act1 = layers.activation(width)
        self.layer1 = stage(width, width, size, 1)
        self.layer2 = stage(width, 2 * width, size, 2)
        self.layer3 = stage(2 * width, 4 * width, strided(size, 2), 2)
        self.fc = layers.linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """N x channels x H x W to N x classes logits."""
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits
