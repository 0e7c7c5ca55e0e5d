"""AlexNet (Krizhevsky 2014, arXiv:1404.5997), as torchvision lays it out, and its form for small images.

    features   imagenet (224x224)                  cifar (32x32; bearpaw/pytorch-classification)
    conv       55x55   11x11, 64, stride 4         8x8   11x11, 64, stride 4, padding 5
    pool       27x27   3x3, stride 2               4x4   2x2, stride 2
    conv       27x27   5x5, 192                    4x4   5x5, 192
    pool       13x13   3x3, stride 2               2x2   2x2, stride 2
    conv       13x13   3x3, 384; 3x3, 256 x2       2x2   3x3, 384; 3x3, 256 x2
    pool       6x6     3x3, stride 2               1x1   2x2, stride 2
    fc                 4096, 4096, classes               classes

The paper's local response normalization is left out, as is usual; with a norm, one follows each convolution.
"""

from typing import Literal

from wsnet.layers import Layers
from wsnet.models.vgg import PlainNetwork, Row, classifier

__all__ = ["alexnet"]


def alexnet(
    layers: Layers,
    *,
    layout: Literal["imagenet", "cifar"] = "imagenet",
    classes: int,
    shape: tuple[int, int, int],
) -> PlainNetwork:
    """Five convolutions, and three linear layers (layout imagenet) or one (cifar).

    Args:
        layers: the factory of convolutions, norms and activations.
        layout: paddings, pools and classifier for large or for small images.
        classes: number of classes.
        shape: (channels, height, width) of one image.
    """
    is_large = layout == "imagenet"
    pool = 3 if is_large else 2
    row = Row(layers, shape, bias=True)
    row.conv(64, 11, stride=4, padding=2 if is_large else 5)
    row.pool(pool)
    row.conv(192, 5)
    row.pool(pool)
    for channels in (384, 256, 256):
        row.conv(channels)
    row.pool(pool)
    if is_large:
        return PlainNetwork(row.modules, 6, classifier(layers, 256 * 6 * 6, classes, dropout_first=True))
    return PlainNetwork(row.modules, 1, layers.linear(256, classes))
