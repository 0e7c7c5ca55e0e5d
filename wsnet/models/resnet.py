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
from typing import Literal

from torch import Tensor, nn

from wsnet.layers import Layers, Size
from wsnet.models.blocks import BasicBlock, Bottleneck, strided

__all__ = ["ResNet", "resnet"]


class ResNet(nn.Module):
    """A stem, four stages of residual blocks, a classifier.

    Names of submodules and parameters are torchvision's, so its checkpoints load with `load_state_dict`.
    """

    def __init__(
        self,
        layers: Layers,
        *,
        block: Callable[..., nn.Module],
        blocks: tuple[int, int, int, int],
        width: int,
        channels: int,
        stem: Literal["imagenet", "cifar"],
        classes: int,
        shape: tuple[int, int, int],
    ) -> None:
        """Build the network.

        Args:
            layers: the maker of convolutions and norms.
            block: makes a block from (layers, in_channels, width, out_channels, size=, stride=).
            blocks: blocks in each stage.
            width: channels inside the blocks of the first stage; doubled in each further one.
            channels: channels that leave the blocks of the first stage; doubled in each further one.
            stem: 7x7 stride 2 and a max-pool, or 3x3 stride 1.
            classes: number of classes.
            shape: (channels, height, width) of one image.
        """
        super().__init__()
        size: Size = (shape[1], shape[2])
        if stem == "imagenet":
            self.conv1 = layers.conv(shape[0], 64, 7, stride=2)
            size = strided(size, 2)
            self.bn1 = layers.norm(64, size=size)
            self.maxpool: nn.Module = nn.MaxPool2d(3, stride=2, padding=1)
            size = strided(size, 2)
        else:
            self.conv1 = layers.conv(shape[0], 64, 3)
            self.bn1 = layers.norm(64, size=size)
            self.maxpool = nn.Identity()
        self.act1 = layers.activation(64)

        stages: list[nn.Sequential] = []
        in_channels = 64
        for number, depth in enumerate(blocks):
            stage = nn.Sequential()
            for index in range(depth):
                stride = 2 if number and not index else 1
                stage.append(
                    block(layers, in_channels, width << number, channels << number, size=size, stride=stride),
                )
                in_channels, size = channels << number, strided(size, stride)
            stages.append(stage)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.fc = layers.linear(in_channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """N x channels x H x W to N x classes logits."""
        x = self.maxpool(self.act1(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


_RESNETS: dict[int, Callable[..., ResNet]] = {
    18: partial(ResNet, block=BasicBlock, blocks=(2, 2, 2, 2), width=64, channels=64),
    34: partial(ResNet, block=BasicBlock, blocks=(3, 4, 6, 3), width=64, channels=64),
    50: partial(ResNet, block=Bottleneck, blocks=(3, 4, 6, 3), width=64, channels=256),
    101: partial(ResNet, block=Bottleneck, blocks=(3, 4, 23, 3), width=64, channels=256),
    152: partial(ResNet, block=Bottleneck, blocks=(3, 8, 36, 3), width=64, channels=256),
}


def resnet(
    layers: Layers,
    *,
    depth: int,
    stem: Literal["imagenet", "cifar"] = "imagenet",
    classes: int,
    shape: tuple[int, int, int],
) -> ResNet:
    """ResNet-18, -34, -50, -101 or -152.

    Args:
        layers: the maker of convolutions and norms.
        depth: weighted layers.
        stem: 7x7 stride 2 and a max-pool, or (for small images) 3x3 stride 1.
        classes: number of classes.
        shape: (channels, height, width) of one image.
    """
    if depth not in _RESNETS:
        raise ValueError(f"depth must be one of {sorted(_RESNETS)}, but got depth={depth}")
    return _RESNETS[depth](layers, stem=stem, classes=classes, shape=shape)
