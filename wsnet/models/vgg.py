"""VGG (Simonyan & Zisserman 2015, arXiv:1409.1556, table 1), as torchvision lays it out, and its form for small images.

    stage   output (224x224)   11 (A)    13 (B)    16 (D)    19 (E)      each ends with a 2x2 max-pool
    1       112x112            64 x1     64 x2     64 x2     64 x2
    2       56x56              128 x1    128 x2    128 x2    128 x2
    3       28x28              256 x2    256 x2    256 x3    256 x4
    4       14x14              512 x2    512 x2    512 x3    512 x4
    5       7x7                512 x2    512 x2    512 x3    512 x4
    fc      1x1                4096, 4096, classes; for small images: classes

All kernels are 3x3. The "VGG-like net of depth 15" of hysts/pytorch_image_classification is depth 16 for small images.
"""

from typing import Literal

from wsnet.layers import Layers
from wsnet.models.plain_network import PlainNetwork, Row, classifier

__all__ = ["vgg"]

_CONVS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_CHANNELS = (64, 128, 256, 512, 512)


def vgg(
    layers: Layers,
    *,
    depth: int,
    layout: Literal["imagenet", "cifar"] = "imagenet",
    conv_bias: bool = True,
    classes: int,
    shape: tuple[int, int, int],
) -> PlainNetwork:
    """VGG-11, -13, -16 or -19.

    Args:
        layers: the factory of convolutions, norms and activations.
        depth: weighted layers, 11, 13, 16 or 19, of which three are linear.
        layout: imagenet ends with three linear layers, cifar with one.
        conv_bias: whether convolutions have biases, as in all published code, also before a norm.
        classes: number of classes.
        shape: (channels, height, width) of one image.
    """
    row = Row(layers, shape, bias=conv_bias)
    for convs, channels in zip(_CONVS[depth], _CHANNELS, strict=True):
        for _ in range(convs):
            row.conv(channels)
        row.pool()
    if layout == "imagenet":
        return PlainNetwork(row.modules, 7, classifier(layers, 512 * 7 * 7, classes, dropout_first=False))
    return PlainNetwork(row.modules, 1, layers.linear(512, classes))
