"""ResNeXt (Xie et al. 2017, arXiv:1611.05431, table 1), as torchvision lays it out.

With C groups of d channels in the first stage (C x d: 32x4d in the paper's table, 32x8d is torchvision's 101):

    layer     output (224x224)   50-layer, 32x4d               101-layer   152-layer
    conv1     112x112            7x7, 64, stride 2             (as ResNet)
    layer1    56x56              128 in 32 groups, 256 x3      x3          x3
    layer2    28x28              256 in 32 groups, 512 x4      x4          x8
    layer3    14x14              512 in 32 groups, 1024 x6     x23         x36
    layer4    7x7                1024 in 32 groups, 2048 x3    x3          x3

and for small images (section 5.3), 9n + 2 layers:

    layer     output (32x32)     29-layer, 8x64d
    conv1     32x32              3x3, 64
    layer1    32x32              512 in 8 groups, 256 x3
    layer2    16x16              1024 in 8 groups, 512 x3
    layer3    8x8                2048 in 8 groups, 1024 x3
"""

from functools import partial
from typing import Literal

from wsnet.config.depths import RESIDUAL_DEPTH
from wsnet.layers import Layers
from wsnet.models.blocks import Bottleneck
from wsnet.models.resnet import ResNet, doubling

__all__ = ["cifar_resnext", "resnext"]

_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def resnext(
    layers: Layers,
    *,
    depth: int,
    cardinality: int = 32,
    group_width: int = 4,
    stem: Literal["imagenet", "cifar"] = "imagenet",
    se_reduction: int | None = None,
    classes: int,
    shape: tuple[int, int, int],
) -> ResNet:
    """ResNeXt-50, -101 or -152: a ResNet whose bottlenecks have wider, grouped 3x3 convolutions.

    Args:
        layers: the factory of convolutions, norms and activations.
        depth: weighted layers, 50, 101 or 152.
        cardinality: groups of the 3x3 convolutions.
        group_width: channels per group in the first stage; doubled in each further one.
        stem: 7x7 stride 2 and a max-pool, or (for small images) 3x3 stride 1.
        se_reduction: squeeze-and-excitation in each block (SE-ResNeXt, Hu et al. 2018, table 1).
        classes: number of classes.
        shape: (channels, height, width) of one image.
    """
    return ResNet(
        layers,
        block=partial(Bottleneck, groups=cardinality, se_reduction=se_reduction),
        stages=doubling(_BLOCKS[depth], cardinality * group_width, 256),
        stem=stem,
        classes=classes,
        shape=shape,
    )


def cifar_resnext(
    layers: Layers,
    *,
    depth: int = 29,
    cardinality: int = 8,
    group_width: int = 64,
    se_reduction: int | None = None,
    classes: int,
    shape: tuple[int, int, int],
) -> ResNet:
    """ResNeXt for small images, in three stages.

    Args:
        layers: the factory of convolutions, norms and activations.
        depth: weighted layers, 9n + 2.
        cardinality: groups of the 3x3 convolutions.
        group_width: channels per group in the first stage; doubled in each further one.
        se_reduction: squeeze-and-excitation in each block.
        classes: number of classes.
        shape: (channels, height, width) of one image.
    """
    return ResNet(
        layers,
        block=partial(Bottleneck, groups=cardinality, se_reduction=se_reduction),
        stages=doubling((RESIDUAL_DEPTH["bottleneck"].blocks(depth),) * 3, cardinality * group_width, 256),
        stem="cifar",
        classes=classes,
        shape=shape,
    )
