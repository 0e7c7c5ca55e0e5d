"""Residual blocks (He et al. 2016, arXiv:1512.03385): their positions, shortcuts, and squeeze-and-excitation."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from wsnet.layers import Layers, Size
from wsnet.layers.stacking import padded_channels

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "Position",
    "Shortcut",
    "SqueezeExcitation",
    "ZeroPadShortcut",
    "block_positions",
    "make_shortcut",
    "squeeze_excitation",
    "strided",
]


Shortcut = Literal["A", "B"]
"""Where a block changes size: A subsamples and pads with zeros, B is a strided 1x1 convolution."""


def strided(size: Size, stride: int) -> Size:
    """Size of a map after a "same" convolution or pooling with this stride."""
    return (size[0] - 1) // stride + 1, (size[1] - 1) // stride + 1


class Position(NamedTuple):
    """The position of a block in a network of several stages.

    Attributes:
        stage: which stage, from 0.
        block: which block of the stage, from 0.
        stride: 2 in the first block of each stage but the first, else 1.
        size: (height, width) of the block's input.
    """

    stage: int
    block: int
    stride: int
    size: Size

    @property
    def size_out(self) -> Size:
        """(height, width) of the block's output."""
        return strided(self.size, self.stride)


def block_positions(blocks: Sequence[int], size: Size) -> Iterator[Position]:
    """The position of every block of a network, in the order of the forward pass.

    Args:
        blocks: number of blocks in each stage.
        size: (height, width) of the first block's input.
    """
    for stage, count in enumerate(blocks):
        for block in range(count):
            position = Position(stage, block, 2 if stage and not block else 1, size)
            yield position
            size = position.size_out


# The two blocks share no base class, as in torchvision: published weights load by the names of the layers, and `act2`
# ends one block but not the other, so that a common base would have to compute names. The same holds for the blocks of
# `pyramidnet`.
class BasicBlock(nn.Module):
    """Two 3x3 convolutions: in_channels -> width -> out_channels (He et al. 2016, figure 5 left).

    Args:
        size: (height, width) of the input; the output's is `strided(size, stride)`.
        stride: of the first convolution.
        shortcut: where the block changes size, B (a strided 1x1 convolution and a norm) or A (see `ZeroPadShortcut`).
        se_reduction: squeeze-and-excitation before the sum, with out_channels // se_reduction hidden features.
    """

    def __init__(
        self,
        layers: Layers,
        in_channels: int,
        width: int,
        out_channels: int,
        *,
        size: Size,
        stride: int,
        shortcut: Shortcut = "B",
        se_reduction: int | None = None,
    ) -> None:
        super().__init__()
        size_out = strided(size, stride)
        self.conv1 = layers.conv(in_channels, width, 3, stride=stride)
        self.bn1 = layers.norm(width, size=size_out)
        self.act1 = layers.activation(width)
        self.conv2 = layers.conv(width, out_channels, 3)
        self.bn2 = layers.norm(out_channels, size=size_out, before="sum")
        layers.end_branch(self.conv2, self.bn2)
        self.se = squeeze_excitation(layers, out_channels, se_reduction)
        self.downsample = make_shortcut(layers, shortcut, in_channels, out_channels, stride, size_out)
        self.act2 = layers.activation(out_channels, after="sum")

    def forward(self, x: Tensor) -> Tensor:
        """N x in_channels x H x W to N x out_channels x H/stride x W/stride."""
        out = self.act1(self.bn1(self.conv1(x)))
        out = self.se(self.bn2(self.conv2(out)))
        out += self.downsample(x)
        y: Tensor = self.act2(out)
        return y


class Bottleneck(nn.Module):
    """Convolutions 1x1, 3x3, 1x1: in_channels -> width -> width -> out_channels (He et al. 2016, figure 5 right).

    With groups it is ResNeXt's block (Xie et al. 2017, figure 3c). The stride is in the 3x3 ("v1.5", as in torchvision
    and ResNeXt), not in the first 1x1 as in the ResNet paper.

    Args:
        size: (height, width) of the input; the output's is `strided(size, stride)`.
        stride: of the 3x3 convolution.
        groups: of the 3x3 convolution.
        shortcut: as in `BasicBlock`.
        se_reduction: as in `BasicBlock`.
    """

    def __init__(
        self,
        layers: Layers,
        in_channels: int,
        width: int,
        out_channels: int,
        *,
        size: Size,
        stride: int,
        groups: int = 1,
        shortcut: Shortcut = "B",
        se_reduction: int | None = None,
    ) -> None:
        super().__init__()
        size_out = strided(size, stride)
        self.conv1 = layers.conv(in_channels, width, 1)
        self.bn1 = layers.norm(width, size=size)
        self.act1 = layers.activation(width)
        self.conv2 = layers.conv(width, width, 3, stride=stride, groups=groups)
        self.bn2 = layers.norm(width, size=size_out)
        self.act2 = layers.activation(width)
        self.conv3 = layers.conv(width, out_channels, 1)
        self.bn3 = layers.norm(out_channels, size=size_out, before="sum")
        layers.end_branch(self.conv3, self.bn3)
        self.se = squeeze_excitation(layers, out_channels, se_reduction)
        self.downsample = make_shortcut(layers, shortcut, in_channels, out_channels, stride, size_out)
        self.act3 = layers.activation(out_channels, after="sum")

    def forward(self, x: Tensor) -> Tensor:
        """N x in_channels x H x W to N x out_channels x H/stride x W/stride."""
        out = self.act1(self.bn1(self.conv1(x)))
        out = self.act2(self.bn2(self.conv2(out)))
        out = self.se(self.bn3(self.conv3(out)))
        out += self.downsample(x)
        y: Tensor = self.act3(out)
        return y


class ZeroPadShortcut(nn.Module):
    """Option A (He et al. 2016, section 3.3): subsample, and fill the new channels with zeros. No parameters."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, *, replicates: int = 1) -> None:
        super().__init__()
        self.new_channels, self.replicates = out_channels - in_channels, replicates
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """N x in_channels x H x W to N x out_channels x H/stride x W/stride."""
        return padded_channels(x[:, :, :: self.stride, :: self.stride], self.new_channels, self.replicates)


def make_shortcut(
    layers: Layers,
    kind: Shortcut,
    in_channels: int,
    out_channels: int,
    stride: int,
    size_out: Size,
    *,
    norm: bool = True,
) -> nn.Module:
    """A shortcut: the identity where the block keeps its input's size, else `kind`, B with or without a norm."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if kind == "A":
        return ZeroPadShortcut(in_channels, out_channels, stride, replicates=layers.replicates)
    projection = nn.Sequential(layers.conv(in_channels, out_channels, 1, stride=stride))
    if norm:
        projection.append(layers.norm(out_channels, size=size_out, before="sum"))
    return projection


class SqueezeExcitation(nn.Module):
    """Multiplies each channel by a number in (0, 1) that two linear layers find from all channels' means.

    Its weights resemble a classifier's more than a filter's, so they are never reparametrized.

    Args:
        layers: the factory of the linear layers.
        channels: C.
        reduction: the hidden layer has C // reduction features.

    Raises:
        ValueError: the hidden layer would have no features.
    """

    def __init__(self, layers: Layers, channels: int, reduction: int) -> None:
        super().__init__()
        if reduction > channels:
            raise ValueError(
                "se_reduction must not exceed the channels of any block, "
                f"but got se_reduction={reduction}, channels={channels}"
            )
        self.fc1 = layers.linear(channels, channels // reduction, init="uniform")
        self.fc2 = layers.linear(channels // reduction, channels, init="uniform")

    def forward(self, x: Tensor) -> Tensor:
        """N x channels x H x W to the same shape."""
        scale: Tensor = self.fc2(F.relu(self.fc1(x.mean((2, 3))))).sigmoid()
        return x * scale[:, :, None, None]


def squeeze_excitation(layers: Layers, channels: int, reduction: int | None) -> nn.Module:
    """Squeeze-and-excitation for the end of a residual branch, before the sum; the identity if reduction is None."""
    return nn.Identity() if reduction is None else SqueezeExcitation(layers, channels, reduction)
