"""Wide ResNet (Zagoruyko & Komodakis 2016, arXiv:1605.07146, table 1).

    layer     output (32x32 images)   B(3,3), widened k times
    conv1     32x32                   3x3, 16
    layer1    32x32                   16k xN
    layer2    16x16                   32k xN
    layer3    8x8                     64k xN
    fc        1x1                     norm, activation, average pool, linear

6N + 4 convolutions in all (WRN-28-10: N = 4, k = 10), the 1x1 ones of three shortcuts included.
"""

from functools import partial

from wsnet.config.depths import WIDE_DEPTH
from wsnet.layers import Layers
from wsnet.models.preact_resnet import PreActBasicBlock, PreActResNet
from wsnet.models.resnet import doubling

__all__ = ["wrn"]


def wrn(
    layers: Layers,
    *,
    depth: int = 28,
    widening: int = 10,
    dropout: float = 0.0,
    classes: int,
    shape: tuple[int, int, int],
) -> PreActResNet:
    """WRN-depth-widening: a pre-activation ResNet that is shallow and wide.

    Args:
        layers: the factory of convolutions, norms and activations.
        depth: convolutions, 6N + 4.
        widening: k, the factor by which there are more channels than in ResNet.
        dropout: probability of dropping an element before each block's second convolution.
        classes: number of classes.
        shape: (channels, height, width) of one image.
    """
    width = 16 * widening
    return PreActResNet(
        layers,
        block=partial(PreActBasicBlock, dropout=dropout),
        stages=doubling((WIDE_DEPTH.blocks(depth),) * 3, width, width),
        stem_channels=16,
        # True where the stage's first shortcut has weights; with k = 1 the first stage's has none.
        preact_stage=(widening > 1, True, True),
        classes=classes,
        shape=shape,
    )
