"""Pre-activation residual blocks (He et al. 2016, arXiv:1603.05027, figure 4e): norm and activation before the weights.

Where a block changes size, its shortcut is a 1x1 convolution without a norm (option B) or zeros (option A).
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from wsnet.layers import Dropout, Layers, Size
from wsnet.models.blocks import Shortcut, make_shortcut, strided
from wsnet.models.squeeze_excitation import squeeze_excitation

__all__ = ["PreActBasicBlock", "PreActBlock", "PreActBottleneck"]


class PreActBlock(nn.Module, ABC):
    """What the two pre-activation blocks have in common: how they begin, and how they end.

    Args:
        out_channels: channels of the output.
        size: (height, width) of the input; the output's is `strided(size, stride)`.
        stride: of the first 3x3 convolution.
        shortcut: where the block changes size, B (a strided 1x1 convolution) or A (see `ZeroPadShortcut`).
        is_shared: whether the first norm and activation come before the shortcut too ("preact"); their activation then
            stays, whatever `first_activation`.
        first_activation: whether the first norm is followed by an activation (Han et al. 2017, PyramidNet, leave it
            out).
        last_norm: whether the last convolution is followed by a norm (as there).
        dropout: probability of dropping an element before the last 3x3 convolution (Zagoruyko & Komodakis 2016, WRN).
        se_reduction: squeeze-and-excitation before the sum, with so many times fewer features inside.
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
        is_shared: bool = False,
        first_activation: bool = True,
        last_norm: bool = False,
        dropout: float = 0.0,
        se_reduction: int | None = None,
    ) -> None:
        super().__init__()
        size_out = strided(size, stride)
        self.is_shared = is_shared
        if first_activation or is_shared:
            self.bn1 = layers.norm(in_channels, size=size)
            self.act1 = layers.activation(in_channels, input_is_shared=True)
        else:
            self.bn1 = layers.norm(in_channels, size=size, before="sum")  # As before a sum, nothing activates.
            self.act1 = nn.Identity()
        last = self.make_convolutions(layers, in_channels, width, out_channels, size, stride)
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.last_norm = layers.norm(out_channels, size=size_out, before="sum") if last_norm else nn.Identity()
        layers.end_branch(last, self.last_norm if last_norm else None)
        self.se = squeeze_excitation(out_channels, se_reduction)
        self.downsample = make_shortcut(layers, shortcut, in_channels, out_channels, stride, size_out, norm=False)

    @abstractmethod
    def make_convolutions(
        self, layers: Layers, in_channels: int, width: int, out_channels: int, size: Size, stride: int
    ) -> nn.Conv2d:
        """Make what lies between the first activation and the last norm; returns the last convolution."""

    @abstractmethod
    def convolve(self, x: Tensor) -> Tensor:
        """From what the first activation gives to what the last norm takes."""

    def forward(self, x: Tensor) -> Tensor:
        """N x in_channels x H x W to N x out_channels x H/stride x W/stride."""
        activated = self.act1(self.bn1(x))
        out: Tensor = self.se(self.last_norm(self.convolve(activated)))
        out += self.downsample(activated if self.is_shared else x)
        return out


class PreActBasicBlock(PreActBlock):
    """Two 3x3 convolutions: in_channels -> width -> out_channels."""

    def make_convolutions(
        self, layers: Layers, in_channels: int, width: int, out_channels: int, size: Size, stride: int
    ) -> nn.Conv2d:
        """See `PreActBlock`."""
        self.conv1 = layers.conv(in_channels, width, 3, stride=stride)
        self.bn2 = layers.norm(width, size=strided(size, stride))
        self.act2 = layers.activation(width)
        self.conv2 = layers.conv(width, out_channels, 3)
        return self.conv2

    def convolve(self, x: Tensor) -> Tensor:
        """See `PreActBlock`."""
        out: Tensor = self.conv2(self.dropout(self.act2(self.bn2(self.conv1(x)))))
        return out


class PreActBottleneck(PreActBlock):
    """Convolutions 1x1, 3x3, 1x1: in_channels -> width -> width -> out_channels; the stride is in the 3x3."""

    def make_convolutions(
        self, layers: Layers, in_channels: int, width: int, out_channels: int, size: Size, stride: int
    ) -> nn.Conv2d:
        """See `PreActBlock`."""
        self.conv1 = layers.conv(in_channels, width, 1)
        self.bn2 = layers.norm(width, size=size)
        self.act2 = layers.activation(width)
        self.conv2 = layers.conv(width, width, 3, stride=stride)
        self.bn3 = layers.norm(width, size=strided(size, stride))
        self.act3 = layers.activation(width)
        self.conv3 = layers.conv(width, out_channels, 1)
        return self.conv3

    def convolve(self, x: Tensor) -> Tensor:
        """See `PreActBlock`."""
        out = self.conv2(self.dropout(self.act2(self.bn2(self.conv1(x)))))
        out = self.conv3(self.act3(self.bn3(out)))
        return out  # type: ignore[no-any-return]
