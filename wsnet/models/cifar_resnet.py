"""ResNet for small images (He et al. 2016, arXiv:1512.03385, section 4.2).

    layer     output (32x32 images)   basic blocks      bottlenecks (He et al. 2016, arXiv:1603.05027)
    conv1     32x32                   3x3, 16           3x3, 16
    layer1    32x32                   16 xn             16, 64 xn
    layer2    16x16                   32 xn             32, 128 xn
    layer3    8x8                     64 xn             64, 256 xn
    fc        1x1                     average pool, linear

6n + 2 weighted layers in all, or 9n + 2 with bottlenecks. For small images the paper uses shortcuts of option A; most
later work uses B. In some code (hysts/pytorch_image_classification) the first stage of bottlenecks keeps the stem's 16
channels, so that its width is 4.
"""

from functools import partial
from typing import Literal

from wsnet.config.depths import RESIDUAL_DEPTH
from wsnet.layers import Layers
from wsnet.models.blocks import BasicBlock, Bottleneck, Shortcut
from wsnet.models.resnet import ResNet, Stage, doubling

__all__ = ["FirstStage", "cifar_resnet", "cifar_stages"]

FirstStage = Literal["expanded", "stem"]
"""Output channels of the first stage of bottlenecks: four times the stem's, or as many as the stem's."""


def cifar_stages(
    depth: int, block: Literal["basic", "bottleneck"], width: int, first_stage: FirstStage = "expanded"
) -> list[Stage]:
    """The three stages of a residual network for small images.

    Args:
        depth: weighted layers, 6n + 2 with basic blocks, 9n + 2 with bottlenecks.
        block: kind of block.
        width: channels of the stem and inside the blocks of the first stage.
        first_stage: output channels of the first stage of bottlenecks.

    Raises:
        ValueError: no whole number of blocks gives this depth, or first_stage is `stem` and 4 does not divide width.
    """
    n = RESIDUAL_DEPTH[block].blocks(depth)
    if block == "basic":
        return doubling((n,) * 3, width, width)
    first, *others = doubling((n,) * 3, width, 4 * width)
    if first_stage == "stem":
        if width % 4:
            raise ValueError(f"first_stage 'stem' needs a width divisible by 4, but got width={width}")
        first = Stage(n, width // 4, width)
    return [first, *others]


def cifar_resnet(
    layers: Layers,
    *,
    depth: int,
    block: Literal["basic", "bottleneck"] = "basic",
    width: int = 16,
    first_stage: FirstStage = "expanded",
    shortcut: Shortcut = "B",
    se_reduction: int | None = None,
    classes: int,
    shape: tuple[int, int, int],
) -> ResNet:
    """Three stages of n blocks; the second and third halve the map and double the channels.

    Args:
        layers: the factory of convolutions, norms and activations.
        depth: weighted layers, 6n + 2 with basic blocks, 9n + 2 with bottlenecks.
        block: kind of block.
        width: channels of the stem and inside the blocks of the first stage.
        first_stage: output channels of the first stage of bottlenecks.
        shortcut: A (subsampling and zeros) or B (1x1 convolution and norm) where a block changes size.
        se_reduction: squeeze-and-excitation in each block.
        classes: number of classes.
        shape: (channels, height, width) of one image.
    """
    kind = BasicBlock if block == "basic" else Bottleneck
    return ResNet(
        layers,
        block=partial(kind, shortcut=shortcut, se_reduction=se_reduction),
        stages=cifar_stages(depth, block, width, first_stage),
        stem="cifar",
        stem_channels=width,
        classes=classes,
        shape=shape,
    )
