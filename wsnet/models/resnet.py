"""ResNet in four stages (He et al. 2016, arXiv:1512.03385, table 1), as torchvision lays it out.

    layer     output (224x224)   18-layer   34-layer   50-layer        101-layer       152-layer
    conv1     112x112            7x7, 64, stride 2 ("cifar" stem: 3x3, stride 1)
    maxpool   56x56              3x3, stride 2 ("cifar" stem: none)
    layer1    56x56              64 x2      64 x3      64, 256 x3      64, 256 x3      64, 256 x3
    layer2    28x28              128 x2     128 x4     128, 512 x4     128, 512 x4     128, 512 x8
    layer3    14x14              256 x2     256 x6     256, 1024 x6    256, 1024 x23   256, 1024 x36
    layer4    7x7                512 x2     512 x3     512, 2048 x3    512, 2048 x3    512, 2048 x3
    fc        1x1                average pool, linear

The first block of layer2, layer3 and layer4 has stride 2.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

from torch import Tensor, nn

from wsnet.layers import Layers, Size
from wsnet.models.blocks import BasicBlock, Bottleneck, block_positions, strided

__all__ = ["ResNet", "Stage", "doubling", "resnet"]


class Stage(NamedTuple):
    """One line of a paper's table."""

    blocks: int
    width: int
    """Channels inside the blocks."""
    channels: int
    """Output channels of the blocks."""


def doubling(blocks: tuple[int, ...], width: int, channels: int) -> list[Stage]:
    """Stages that each have twice the channels of the one before."""
    return [Stage(depth, width << index, channels << index) for index, depth in enumerate(blocks)]


class ResNet(nn.Module):
    """A stem, three or four stages of residual blocks, a classifier.

    Names of submodules and parameters are torchvision's, so its checkpoints load with `load_state_dict`.
    """

    def __init__(
        self,
        layers: Layers,
        *,
        block: Callable[..., nn.Module],
        stages: list[Stage],
        stem: Literal["imagenet", "cifar"],
        stem_channels: int = 64,
        classes: int,
        shape: tuple[int, int, int],
    ) -> None:
        """Build the network.

        Args:
            layers: the factory of convolutions, norms and activations.
            block: makes a block from (layers, in_channels, width, out_channels, size=, stride=).
            stages: three or four; all but the first halve the map.
            stem: 7x7 stride 2 and a max-pool, or 3x3 stride 1.
            stem_channels: channels of the first convolution.
            classes: number of classes.
            shape: (channels, height, width) of one image.
        """
        super().__init__()
        size: Size = (shape[1], shape[2])
        if stem == "imagenet":
            self.conv1 = layers.conv(shape[0], stem_channels, 7, stride=2)
            size = strided(size, 2)
            self.bn1 = layers.norm(stem_channels, size=size)
            self.maxpool: nn.Module = nn.MaxPool2d(3, stride=2, padding=1)
            size = strided(size, 2)
        else:
            self.conv1 = layers.conv(shape[0], stem_channels, 3)
            self.bn1 = layers.norm(stem_channels, size=size)
            self.maxpool = nn.Identity()
        self.act1 = layers.activation(stem_channels)

        made = [nn.Sequential() for _ in stages]
        in_channels = stem_channels
        for at in block_positions([stage.blocks for stage in stages], size):
            stage = stages[at.stage]
            made[at.stage].append(
                block(layers, in_channels, stage.width, stage.channels, size=at.size, stride=at.stride)
            )
            in_channels = stage.channels
        self.layer1, self.layer2, self.layer3 = made[:3]
        self.layer4 = made[3] if len(made) == 4 else nn.Identity()
        self.fc = layers.linear(in_channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """N x channels x H x W to N x classes logits."""
        x = self.maxpool(self.act1(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


_BLOCKS: dict[int, tuple[Callable[..., nn.Module], tuple[int, ...], int]] = {
    # depth: block, blocks in each stage, output channels of the first stage
    18: (BasicBlock, (2, 2, 2, 2), 64),
    34: (BasicBlock, (3, 4, 6, 3), 64),
    50: (Bottleneck, (3, 4, 6, 3), 256),
    101: (Bottleneck, (3, 4, 23, 3), 256),
    152: (Bottleneck, (3, 8, 36, 3), 256),
}


def resnet(
    layers: Layers,
    *,
    depth: int,
    stem: Literal["imagenet", "cifar"] = "imagenet",
    se_reduction: int | None = None,
    classes: int,
    shape: tuple[int, int, int],
) -> ResNet:
    """ResNet-18, -34, -50, -101 or -152.

    Args:
        layers: the factory of convolutions, norms and activations.
        depth: weighted layers, 18, 34, 50, 101 or 152.
        stem: 7x7 stride 2 and a max-pool, or (for small images) 3x3 stride 1.
        se_reduction: squeeze-and-excitation in each block (SE-ResNet, Hu et al. 2018, table 1).
        classes: number of classes.
        shape: (channels, height, width) of one image.
    """
    block, blocks, channels = _BLOCKS[depth]
    return ResNet(
        layers,
        block=partial(block, se_reduction=se_reduction),
        stages=doubling(blocks, 64, channels),
        stem=stem,
        classes=classes,
        shape=shape,
    )
