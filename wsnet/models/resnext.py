"""ResNeXt (Xie et al. 2017, arXiv:1611.05431, table 1), as torchvision lays it out.

With C groups of d channels in the first stage (C x d: 32x4d in the paper's table, 32x8d is torchvision's 101):

    layer     output (224x224)   50-layer, 32x4d               101-layer, 32x4d
    conv1     112x112            7x7, 64, stride 2             (as ResNet)
    layer1    56x56              128 in 32 groups, 256 x3      x3
    layer2    28x28              256 in 32 groups, 512 x4      x4
    layer3    14x14              512 in 32 groups, 1024 x6     x23
    layer4    7x7                1024 in 32 groups, 2048 x3    x3
"""

from functools import partial
from typing import Literal

from wsnet.layers import Layers
from wsnet.models.blocks import Bottleneck
from wsnet.models.resnet import ResNet

__all__ = ["resnext"]

_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def resnext(
    layers: Layers,
    *,
    depth: int,
    cardinality: int = 32,
    group_width: int = 4,
    stem: Literal["imagenet", "cifar"] = "imagenet",
    classes: int,
    shape: tuple[int, int, int],
) -> ResNet:
    """ResNeXt-50 or -101: a ResNet whose bottlenecks have wider, grouped 3x3 convolutions.

    Args:
        layers: the maker of convolutions and norms.
        depth: weighted layers.
        cardinality: groups of the 3x3 convolutions.
        group_width: channels per group in the first stage; doubled in each further one.
        stem: 7x7 stride 2 and a max-pool, or (for small images) 3x3 stride 1.
        classes: number of classes.
        shape: (channels, height, width) of one image.
    """
    if depth not in _BLOCKS:
        raise ValueError(f"depth must be one of {sorted(_BLOCKS)}, but got depth={depth}")
    return ResNet(
        layers,
        block=partial(Bottleneck, groups=cardinality),
        blocks=_BLOCKS[depth],
        width=cardinality * group_width,
        channels=256,
        stem=stem,
        classes=classes,
        shape=shape,
    )
