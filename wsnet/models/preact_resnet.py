"""ResNet with pre-activation blocks (He et al. 2016, arXiv:1603.05027): norm and activation before the weights."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn

from wsnet.layers import Dropout, Layers, Size
from wsnet.models.blocks import Shortcut, block_positions, make_shortcut, squeeze_excitation, strided
from wsnet.models.cifar_resnet import FirstStage, cifar_stages
from wsnet.models.resnet import Stage

__all__ = ["PreActBasicBlock", "PreActBlock", "PreActBottleneck", "PreActResNet", "preact_resnet"]


class PreActBlock(nn.Module, ABC):
    """What the two pre-activation blocks have in common: how they begin, and how they end.

    Args:
        out_channels: channels of the output.
        size: (height, width) of the input; the output's is `strided(size, stride)`.
        stride: of the first 3x3 convolution.
        shortcut: where the block changes size, B (a strided 1x1 convolution) or A (see `ZeroPadShortcut`).
        is_shared: whether the shortcut, too, comes after the first norm and activation ("preact"); the activation is
            then kept even without `first_activation`.
        first_activation: whether the first norm is followed by an activation (Han et al. 2017, PyramidNet, leave it
            out).
        last_norm: whether the last convolution is followed by a norm (as in PyramidNet).
        dropout: probability of dropping an element before the last 3x3 convolution (Zagoruyko & Komodakis 2016, WRN).
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
            self.bn1 = layers.norm(in_channels, size=size, before="sum")  # No activation, as before a sum.
            self.act1 = nn.Identity()
        last = self.make_convolutions(layers, in_channels, width, out_channels, size, stride)
        self.dropout = Dropout(dropout, replicates=layers.replicates) if dropout else nn.Identity()
        self.last_norm = layers.norm(out_channels, size=size_out, before="sum") if last_norm else nn.Identity()
        layers.end_branch(last, self.last_norm if last_norm else None)
        self.se = squeeze_excitation(layers, out_channels, se_reduction)
        self.downsample = make_shortcut(layers, shortcut, in_channels, out_channels, stride, size_out, norm=False)

    @abstractmethod
    def make_convolutions(
        self, layers: Layers, in_channels: int, width: int, out_channels: int, size: Size, stride: int
    ) -> nn.Conv2d:
        """Make the layers between the first activation and the last norm; returns the last convolution."""

    @abstractmethod
    def convolve(self, x: Tensor) -> Tensor:
        """Map the first activation's output to the last norm's input."""

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


class PreActResNet(nn.Module):
    """A 3x3 convolution, three stages of pre-activation blocks, a last norm and activation, a classifier."""

    def __init__(
        self,
        layers: Layers,
        *,
        block: Callable[..., nn.Module],
        stages: list[Stage],
        stem_channels: int,
        preact_stage: tuple[bool, bool, bool],
        classes: int,
        shape: tuple[int, int, int],
    ) -> None:
        """Build the network.

        Args:
            layers: the factory of convolutions, norms and activations.
            block: makes a block from (layers, in_channels, width, out_channels, size=, stride=, is_shared=).
            stages: three; all but the first halve the map.
            stem_channels: channels of the first convolution.
            preact_stage: whether the first block of each stage has its first norm and activation before the shortcut.
            classes: number of classes.
            shape: (channels, height, width) of one image.
        """
        super().__init__()
        size: Size = (shape[1], shape[2])
        self.conv1 = layers.conv(shape[0], stem_channels, 3)
        made = [nn.Sequential() for _ in stages]
        in_channels = stem_channels
        for at in block_positions([stage.blocks for stage in stages], size):
            stage, is_shared = stages[at.stage], preact_stage[at.stage] and at.block == 0
            options = {"size": at.size, "stride": at.stride, "is_shared": is_shared}
            made[at.stage].append(block(layers, in_channels, stage.width, stage.channels, **options))
            in_channels, size = stage.channels, at.size_out
        self.layer1, self.layer2, self.layer3 = made
        self.bn = layers.norm(in_channels, size=size)
        self.act = layers.activation(in_channels)
        self.fc = layers.linear(in_channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """N x channels x H x W to N x classes logits."""
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        logits: Tensor = self.fc(self.act(self.bn(x)).mean((2, 3)))
        return logits


def preact_resnet(
    layers: Layers,
    *,
    depth: int,
    block: Literal["basic", "bottleneck"] = "basic",
    width: int = 16,
    first_stage: FirstStage = "expanded",
    shortcut: Shortcut = "B",
    preact_stage: tuple[bool, bool, bool] = (True, True, True),
    remove_first_relu: bool = False,
    add_last_norm: bool = False,
    se_reduction: int | None = None,
    classes: int,
    shape: tuple[int, int, int],
) -> PreActResNet:
    """Three stages of n pre-activation blocks; the second and third halve the map and double the channels.

    Args:
        layers: the factory of convolutions, norms and activations.
        depth: weighted layers, 6n + 2 with basic blocks, 9n + 2 with bottlenecks.
        block: kind of block.
        width: channels of the stem and inside the blocks of the first stage.
        first_stage: output channels of the first stage of bottlenecks.
        shortcut: A (subsampling and zeros) or B (1x1 convolution) where a block changes size.
        preact_stage: whether the first block of each stage has its first norm and activation before the shortcut.
        remove_first_relu: whether the first norms of the other blocks have no activation.
        add_last_norm: whether each block's last convolution is followed by a norm.
        se_reduction: squeeze-and-excitation in each block.
        classes: number of classes.
        shape: (channels, height, width) of one image.
    """
    kind = PreActBasicBlock if block == "basic" else PreActBottleneck
    return PreActResNet(
        layers,
        block=partial(
            kind,
            shortcut=shortcut,
            first_activation=not remove_first_relu,
            last_norm=add_last_norm,
            se_reduction=se_reduction,
        ),
        stages=cifar_stages(depth, block, width, first_stage),
        stem_channels=width,
        preact_stage=preact_stage,
        classes=classes,
        shape=shape,
    )
