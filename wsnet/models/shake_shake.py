"""Shake-shake (Gastaldi 2017, arXiv:1705.07485, table 1 and section 2.1).

    layer     output (32x32 images)   filters (26 2x32d: n = 4 blocks, width 32)
    conv1     32x32                   3x3, 16
    layer1    32x32                   n blocks, 2 branches of 32
    layer2    16x16                   n blocks, 2 branches of 64
    layer3    8x8                     n blocks, 2 branches of 128
    fc        1x1                     ReLU, average pool, linear

A branch is ReLU, 3x3, norm, ReLU, 3x3, norm. The first block of layer2 and layer3 has stride 2.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from wsnet.config.depths import RESIDUAL_DEPTH
from wsnet.layers import Layers, ShakeShake, Size
from wsnet.layers.stacking import joined_channels
from wsnet.models.blocks import block_positions, strided

__all__ = ["ShakeBlock", "ShakeShakeNet", "ShiftedShortcut"]


class ShakeBlock(nn.Module):
    """Two branches of two 3x3 convolutions each, mixed by `ShakeShake`, and a shortcut.

    Args:
        mix: the mixing of the branches.
        size: (height, width) of the input; the output's is `strided(size, stride)`.
    """

    def __init__(
        self, layers: Layers, in_channels: int, out_channels: int, mix: ShakeShake, *, size: Size, stride: int
    ) -> None:
        super().__init__()
        size_out = strided(size, stride)

        def branch() -> nn.Sequential:
            conv1, conv2 = (
                layers.conv(in_channels, out_channels, 3, stride=stride),
                layers.conv(out_channels, out_channels, 3),
            )
            bn1 = layers.norm(out_channels, size=size_out)
            bn2 = layers.norm(out_channels, size=size_out, before="sum")
            layers.end_branch(conv2, bn2)
            return nn.Sequential(conv1, bn1, layers.activation(out_channels), conv2, bn2)

        self.act = layers.activation(in_channels, after="sum", input_is_shared=True)
        self.branch1, self.branch2, self.mix = branch(), branch(), mix
        self.shortcut = None
        if stride > 1 or in_channels != out_channels:
            self.shortcut = ShiftedShortcut(layers, in_channels, out_channels, size_out=size_out, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """N x in_channels x H x W to N x out_channels x H/stride x W/stride."""
        a: Tensor = self.act(x)  # This ReLU starts both branches and a convolutional shortcut, not an identity one.
        mixed: Tensor = self.mix(self.branch1(a), self.branch2(a))
        return mixed + (x if self.shortcut is None else self.shortcut(a))


class ShiftedShortcut(nn.Module):
    """Half the channels come from the subsampled map, half from the map shifted by a pixel first (section 2.1)."""

    def __init__(self, layers: Layers, in_channels: int, out_channels: int, *, size_out: Size, stride: int) -> None:
        super().__init__()
        self.stride, self.replicates = stride, layers.replicates
        self.conv1 = layers.conv(in_channels, out_channels // 2, 1)
        self.conv2 = layers.conv(in_channels, out_channels - out_channels // 2, 1)
        self.bn = layers.norm(out_channels, size=size_out, before="sum")

    def forward(self, x: Tensor) -> Tensor:
        """N x in_channels x H x W to N x out_channels x H/stride x W/stride."""
        moved = F.pad(x, (1, -1, 1, -1))
        parts = [conv(y[:, :, :: self.stride, :: self.stride]) for conv, y in ((self.conv1, x), (self.conv2, moved))]
        y: Tensor = self.bn(joined_channels(parts, self.replicates))
        return y


class ShakeShakeNet(nn.Module):
    """Three stages of n blocks; the second and third halve the map and double the channels."""

    def __init__(
        self,
        layers: Layers,
        *,
        depth: int = 26,
        width: int = 32,
        stem_width: int = 16,
        forward: Literal["shake", "even"] = "shake",
        backward: Literal["shake", "even", "keep"] = "shake",
        level: Literal["image", "batch"] = "image",
        classes: int,
        shape: tuple[int, int, int],
    ) -> None:
        """Build the network.

        Args:
            layers: the factory of convolutions, norms and activations.
            depth: weighted layers, 6n + 2.
            width: channels of the first stage.
            stem_width: channels of the first convolution.
            forward: how the branches are mixed, see `ShakeShake`.
            backward: how their gradients are mixed.
            level: whether they are mixed differently for each image, or alike in the whole batch.
            classes: number of classes.
            shape: (channels, height, width) of one image.

        Raises:
            ValueError: the depth is not 6n + 2.
        """
        super().__init__()
        n = RESIDUAL_DEPTH["basic"].blocks(depth)
        size: Size = (shape[1], shape[2])
        channels = stem_width
        self.conv1 = layers.conv(shape[0], channels, 3)
        self.bn1 = layers.norm(channels, size=size, before="sum")
        stages = [nn.Sequential() for _ in range(3)]
        for at in block_positions((n, n, n), size):
            mix = ShakeShake(forward, backward, level, replicates=layers.replicates)
            out_channels = width << at.stage
            stages[at.stage].append(ShakeBlock(layers, channels, out_channels, mix, size=at.size, stride=at.stride))
            channels = out_channels
        self.layer1, self.layer2, self.layer3 = stages
        self.act = layers.activation(channels, after="sum")
        self.fc = layers.linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """N x channels x H x W to N x classes logits."""
        x = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)))))
        logits: Tensor = self.fc(self.act(x).mean((2, 3)))
        return logits
