"""PyramidNet (Han et al. 2017, arXiv:1610.02915, section 2) for small images.

    layer     output (32x32 images)   filters
    conv1     32x32                   3x3, 16
    layer1    32x32                   n blocks
    layer2    16x16                   n blocks
    layer3    8x8                     n blocks
    fc        1x1                     norm, ReLU, average pool, linear

The k-th of the N = 3n blocks has 16 + k alpha / N channels, rounded (equation 3); a bottleneck outputs 4 times as many.
A block is norm, conv, norm, ReLU, conv, norm (figure 6d): no ReLU at its start and a norm at its end. Shortcuts have no
parameters: 2x2 average pooling where the map is halved, and zeros for the new channels (figure 5a).
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from wsnet.config.channels import pyramid_widths
from wsnet.config.depths import RESIDUAL_DEPTH
from wsnet.layers import Layers, Size
from wsnet.layers.stacking import padded_channels
from wsnet.models.blocks import block_positions, strided

__all__ = ["PyramidBasic", "PyramidBottleneck", "PyramidNet"]


class PyramidBasic(nn.Module):
    """Two 3x3 convolutions: in_channels -> width -> width.

    Args:
        size: (height, width) of the input; the output's is `strided(size, stride)`.
    """

    expansion = 1

    def __init__(self, layers: Layers, in_channels: int, width: int, *, size: Size, stride: int) -> None:
        super().__init__()
        size_out = strided(size, stride)
        self.bn1 = layers.norm(in_channels, size=size, before="sum")
        self.conv1 = layers.conv(in_channels, width, 3, stride=stride)
        self.bn2 = layers.norm(width, size=size_out)
        self.act2 = layers.activation(width)
        self.conv2 = layers.conv(width, width, 3)
        self.bn3 = layers.norm(width, size=size_out, before="sum")
        layers.end_branch(self.conv2, self.bn3)
        self.shortcut = PyramidShortcut(width - in_channels, stride, replicates=layers.replicates)

    def forward(self, x: Tensor) -> Tensor:
        """N x in_channels x H x W to N x width x H/stride x W/stride."""
        y: Tensor = self.conv1(self.bn1(x))
        y = self.bn3(self.conv2(self.act2(self.bn2(y)))) + self.shortcut(x)
        return y


class PyramidBottleneck(nn.Module):
    """Convolutions 1x1, 3x3, 1x1: in_channels -> width -> width -> 4 width.

    Args:
        size: (height, width) of the input; the output's is `strided(size, stride)`.
    """

    expansion = 4

    def __init__(self, layers: Layers, in_channels: int, width: int, *, size: Size, stride: int) -> None:
        super().__init__()
        size_out, out_channels = strided(size, stride), 4 * width
        self.bn1 = layers.norm(in_channels, size=size, before="sum")
        self.conv1 = layers.conv(in_channels, width, 1)
        self.bn2 = layers.norm(width, size=size)
        self.act2 = layers.activation(width)
        self.conv2 = layers.conv(width, width, 3, stride=stride)
        self.bn3 = layers.norm(width, size=size_out)
        self.act3 = layers.activation(width)
        self.conv3 = layers.conv(width, out_channels, 1)
        self.bn4 = layers.norm(out_channels, size=size_out, before="sum")
        layers.end_branch(self.conv3, self.bn4)
        self.shortcut = PyramidShortcut(out_channels - in_channels, stride, replicates=layers.replicates)

    def forward(self, x: Tensor) -> Tensor:
        """N x in_channels x H x W to N x 4 width x H/stride x W/stride."""
        y: Tensor = self.conv1(self.bn1(x))
        y = self.conv2(self.act2(self.bn2(y)))
        y = self.bn4(self.conv3(self.act3(self.bn3(y)))) + self.shortcut(x)
        return y


class PyramidShortcut(nn.Module):
    """Average pooling where the map is halved, and zeros for new channels. No parameters."""

    def __init__(self, new_channels: int, stride: int, *, replicates: int = 1) -> None:
        super().__init__()
        self.new_channels, self.stride, self.replicates = new_channels, stride, replicates

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x (C + new_channels) x H/stride x W/stride."""
        if self.stride > 1:
            x = F.avg_pool2d(x, self.stride, ceil_mode=True)
        return padded_channels(x, self.new_channels, self.replicates)


class PyramidNet(nn.Module):
    """Three stages of n blocks that widen steadily; the second and third halve the map."""

    def __init__(
        self,
        layers: Layers,
        *,
        depth: int,
        alpha: float,
        block: Literal["basic", "bottleneck"] = "basic",
        width: int = 16,
        stem_width: int | None = None,
        classes: int,
        shape: tuple[int, int, int],
    ) -> None:
        """Build the network.

        Args:
            layers: the factory of convolutions, norms and activations.
            depth: weighted layers, 6n + 2 (basic) or 9n + 2 (bottleneck).
            alpha: channels added over all blocks together.
            block: which kind.
            width: channels that the widening starts from.
            stem_width: channels of the first convolution; None is `width`.
            classes: number of classes.
            shape: (channels, height, width) of one image.

        Raises:
            ValueError: no whole number of blocks per stage gives this depth.
        """
        super().__init__()
        make = PyramidBasic if block == "basic" else PyramidBottleneck
        n, widths = RESIDUAL_DEPTH[block].blocks(depth), pyramid_widths(depth, alpha, block, width)
        size: Size = (shape[1], shape[2])
        channels = stem_width or width
        self.conv1 = layers.conv(shape[0], channels, 3)
        self.bn1 = layers.norm(channels, size=size, before="sum")
        stages = [nn.Sequential() for _ in range(3)]
        for at in block_positions((n, n, n), size):
            inner = widths[at.stage * n + at.block]
            stages[at.stage].append(make(layers, channels, inner, size=at.size, stride=at.stride))
            channels, size = make.expansion * inner, at.size_out
        self.layer1, self.layer2, self.layer3 = stages
        self.bn2 = layers.norm(channels, size=size)
        self.act2 = layers.activation(channels)
        self.fc = layers.linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """N x channels x H x W to N x classes logits."""
        x = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)))))
        logits: Tensor = self.fc(self.act2(self.bn2(x)).mean((2, 3)))
        return logits
