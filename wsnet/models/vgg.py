"""VGG (Simonyan & Zisserman 2015, arXiv:1409.1556, table 1), as torchvision lays it out, and its form for small images.

    stage   output (224x224)   11 (A)    13 (B)    16 (D)    19 (E)      each ends with a 2x2 max-pool
    1       112x112            64 x1     64 x2     64 x2     64 x2
    2       56x56              128 x1    128 x2    128 x2    128 x2
    3       28x28              256 x2    256 x2    256 x3    256 x4
    4       14x14              512 x2    512 x2    512 x3    512 x4
    5       7x7                512 x2    512 x2    512 x3    512 x4
    fc      1x1                4096, 4096, classes; for small images: classes

All kernels are 3x3. The "VGG-like net of depth 15" of hysts/pytorch_image_classification is depth 16 for small images.

`PlainNetwork`, layers in a row without shortcuts, is AlexNet's class too.
"""

from typing import Literal

from torch import Tensor, nn

from wsnet.layers import Dropout, Layers, Size

__all__ = ["PlainNetwork", "Row", "classifier", "vgg"]


class Row:
    """Layers in a row, and the channels and size of the last layer's output.

    Args:
        layers: the factory of convolutions, norms and activations.
        shape: (channels, height, width) of one image.
        bias: whether convolutions have biases.
    """

    def __init__(self, layers: Layers, shape: tuple[int, int, int], *, bias: bool) -> None:
        self._layers, self._bias = layers, bias
        self.channels = shape[0]
        self.size: Size = (shape[1], shape[2])
        self.modules = nn.Sequential()

    def conv(self, channels: int, kernel_size: int = 3, *, stride: int = 1, padding: int | None = None) -> None:
        """Append a convolution, its norm and its activation.

        Raises:
            ValueError: the map is smaller than the kernel, or the norm cannot normalize it.
        """
        conv = self._layers.conv(self.channels, channels, kernel_size, stride=stride, padding=padding, bias=self._bias)
        padded = [side + 2 * conv.padding[0] for side in self.size]  # type: ignore[operator]
        if min(padded) < kernel_size:
            raise ValueError(
                f"images must have at least {kernel_size} pixels a side after padding, but got {padded[0]}x{padded[1]}"
            )
        self.channels = channels
        self.size = tuple((side - kernel_size) // stride + 1 for side in padded)  # type: ignore[assignment]
        self.modules.append(conv)
        norm = self._layers.norm(channels, size=self.size)
        if not isinstance(norm, nn.Identity):  # Parameters in torchvision's checkpoints are named by layer index.
            self.modules.append(norm)
        self.modules.append(self._layers.activation(channels))

    def pool(self, kernel_size: int = 2) -> None:
        """Append a max-pool of stride 2. A map smaller than the kernel (from small images) stays as it is."""
        if min(self.size) < kernel_size:
            self.modules.append(nn.Identity())
            return
        self.modules.append(nn.MaxPool2d(kernel_size, stride=2))
        self.size = ((self.size[0] - kernel_size) // 2 + 1, (self.size[1] - kernel_size) // 2 + 1)


def classifier(layers: Layers, features: int, classes: int, *, dropout_first: bool) -> nn.Sequential:
    """Three linear layers with dropout 0.5, as for ImageNet, before (AlexNet) or after (VGG) the first two."""
    first = [layers.linear(features, 4096), nn.ReLU(inplace=True)]
    second = [layers.linear(4096, 4096), nn.ReLU(inplace=True)]
    last = layers.linear(4096, classes)
    dropouts = [Dropout(0.5, replicates=layers.replicates) for _ in range(2)]
    if dropout_first:
        return nn.Sequential(dropouts[0], *first, dropouts[1], *second, last)
    return nn.Sequential(*first, dropouts[0], *second, dropouts[1], last)


class PlainNetwork(nn.Module):
    """Features, an average pool to a grid, a classifier; names as in torchvision, so that its checkpoints load.

    Args:
        features: from images to maps.
        grid: height and width of the map that the classifier sees.
        classifier: from channels * grid * grid features to logits.
    """

    def __init__(self, features: nn.Module, grid: int, classifier: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d(grid)
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """N x channels x H x W to N x classes logits."""
        logits: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return logits


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
        conv_bias: whether convolutions have biases, even before a norm, as in all published code.
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
