"""ResNet with pre-activation blocks, for small images (He et al. 2016, arXiv:1603.05027).

    layer     output (32x32 images)   basic blocks      bottlenecks
    conv1     32x32                   3x3, 16           3x3, 16
    layer1    32x32                   16 xn             16, 64 xn
    layer2    16x16                   32 xn             32, 128 xn
    layer3    8x8                     64 xn             64, 256 xn
    fc        1x1                     norm, activation, average pool, linear

6n + 2 weighted layers in all, or 9n + 2 with bottlenecks (164, 1001). The stem has no norm of its own: the first block
brings it, before its shortcut too (the paper's appendix).
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn

from wsnet.layers import Layers, Size
from wsnet.models.blocks import Shortcut, strided
from wsnet.models.cifar_resnet import FirstStage, cifar_stages
from wsnet.models.preact_blocks import PreActBasicBlock, PreActBottleneck
from wsnet.models.resnet import Stage

__all__ = ["PreActResNet", "preact_resnet"]


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
            layers: the maker of convolutions and norms.
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
        made: list[nn.Sequential] = []
        in_channels = stem_channels
        for number, (stage, is_shared) in enumerate(zip(stages, preact_stage, strict=True)):
            made.append(nn.Sequential())
            for index in range(stage.blocks):
                stride = 2 if number and not index else 1
                options = {"size": size, "stride": stride, "is_shared": is_shared and not index}
                made[-1].append(block(layers, in_channels, stage.width, stage.channels, **options))
                in_channels, size = stage.channels, strided(size, stride)
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
        layers: the maker of convolutions and norms.
        depth: weighted layers, 6n + 2 with basic blocks, 9n + 2 with bottlenecks.
        block: kind of block.
        width: channels of the stem and inside the blocks of the first stage.
        first_stage: channels that leave the first stage of bottlenecks.
        shortcut: A (subsampling and zeros) or B (1x1 convolution) where a block changes size.
        preact_stage: whether the first block of each stage has its first norm and activation before the shortcut.
        remove_first_relu: whether the other blocks' first norms are without an activation.
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
