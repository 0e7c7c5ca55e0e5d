"""DenseNet and DenseNet-BC (Huang et al. 2017, arXiv:1608.06993), as torchvision lays it out.

For small images (section 4.2) there are three blocks of n layers, for ImageNet (table 1) four:

    layer         output (32x32)   output (224x224)   DenseNet-121   -169      -201      -161
    conv0         32x32, 3x3       112x112, 7x7       64             64        64        96
    pool0         -                56x56              3x3 max, stride 2
    denseblock1   32x32, n         56x56              6 layers       6         6         6
    denseblock2   16x16, n         28x28              12             12        12        12
    denseblock3   8x8, n           14x14              24             32        48        36
    denseblock4   -                7x7                16             32        32        24
    classifier    average pool, linear

A layer adds k channels (the growth rate) to its input: norm, ReLU, 1x1 to 4k channels (with bottlenecks), norm,
ReLU, 3x3 to k channels. Between two blocks a transition (norm, ReLU, 1x1, 2x2 average pool) compresses the channels.
"""

from torch import Tensor, nn

from wsnet.config.channels import DENSENETS
from wsnet.config.depths import DENSE_DEPTH
from wsnet.layers import Dropout, Layers, Size
from wsnet.layers.stacking import joined_channels
from wsnet.models.blocks import strided

__all__ = ["DenseLayer", "DenseNet", "Transition", "cifar_densenet", "densenet"]


class DenseLayer(nn.Module):
    """The k channels that a dense layer adds: norm, activation, (1x1, norm, activation,) 3x3."""

    def __init__(
        self, layers: Layers, in_channels: int, growth_rate: int, *, bottleneck: bool, dropout: float, size: Size
    ) -> None:
        super().__init__()
        self.replicates = layers.replicates
        self.norm1 = layers.norm(in_channels, size=size)
        self.relu1 = layers.activation(in_channels)
        if bottleneck:
            inner = 4 * growth_rate
            self.conv1 = layers.conv(in_channels, inner, 1)
            self.drop1 = _dropout(layers, dropout)
            self.norm2 = layers.norm(inner, size=size)
            self.relu2 = layers.activation(inner)
            self.conv2 = layers.conv(inner, growth_rate, 3)
            self.drop2 = _dropout(layers, dropout)
        else:
            self.conv1 = layers.conv(in_channels, growth_rate, 3)
            self.drop1 = _dropout(layers, dropout)
        self.bottleneck = bottleneck

    def forward(self, *features: Tensor) -> Tensor:
        """All maps before it, N x ... x H x W, to N x growth_rate x H x W."""
        together = joined_channels(features, self.replicates)
        x: Tensor = self.drop1(self.conv1(self.relu1(self.norm1(together))))
        return self.drop2(self.conv2(self.relu2(self.norm2(x)))) if self.bottleneck else x


class DenseBlock(nn.ModuleDict):
    """Dense layers, each of which gets the block's input and the outputs of all layers before it."""

    def __init__(self, replicates: int) -> None:
        super().__init__()
        self.replicates = replicates

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x (C + n * growth_rate) x H x W."""
        features = [x]
        for layer in self.values():
            features.append(layer(*features))
        return joined_channels(features, self.replicates)


class Transition(nn.Module):
    """Between two blocks: fewer channels, and half the height and width (rounded down, as in torchvision)."""

    def __init__(self, layers: Layers, in_channels: int, out_channels: int, *, dropout: float, size: Size) -> None:
        super().__init__()
        self.norm = layers.norm(in_channels, size=size)
        # Checkpointing keeps this block's input, which must not be overwritten.
        self.relu = layers.activation(in_channels, input_is_shared=True)
        self.conv = layers.conv(in_channels, out_channels, 1)
        self.drop = _dropout(layers, dropout)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """N x in_channels x H x W to N x out_channels x H/2 x W/2."""
        y: Tensor = self.pool(self.drop(self.conv(self.relu(self.norm(x)))))
        return y


class DenseNet(nn.Module):
    """A stem, dense blocks with transitions between them, a classifier.

    Names of submodules and parameters are torchvision's, so its checkpoints load with `load_state_dict`.
    """

    def __init__(
        self,
        layers: Layers,
        *,
        blocks: tuple[int, ...],
        growth_rate: int,
        channels: int,
        imagenet_stem: bool,
        bottleneck: bool,
        compression: float,
        dropout: float,
        classes: int,
        shape: tuple[int, int, int],
    ) -> None:
        """Build the network.

        Args:
            layers: the factory of convolutions, norms and activations.
            blocks: dense layers in each block.
            growth_rate: channels that each dense layer adds.
            channels: of the first convolution.
            imagenet_stem: 7x7 stride 2, norm, ReLU and max-pool, or one 3x3 convolution.
            bottleneck: whether dense layers have a 1x1 convolution before the 3x3.
            compression: fraction of the channels that a transition keeps.
            dropout: probability of dropping an element after each convolution but the first.
            classes: number of classes.
            shape: (channels, height, width) of one image.
        """
        super().__init__()
        size: Size = (shape[1], shape[2])
        self.features = nn.Sequential()
        add = self.features.add_module
        if imagenet_stem:
            add("conv0", layers.conv(shape[0], channels, 7, stride=2))
            size = strided(size, 2)
            add("norm0", layers.norm(channels, size=size))
            add("relu0", layers.activation(channels))
            add("pool0", nn.MaxPool2d(3, stride=2, padding=1))
            size = strided(size, 2)
        else:
            add("conv0", layers.conv(shape[0], channels, 3))

        for number, depth in enumerate(blocks, start=1):
            block = DenseBlock(layers.replicates)
            for index in range(1, depth + 1):
                block[f"denselayer{index}"] = DenseLayer(
                    layers, channels, growth_rate, bottleneck=bottleneck, dropout=dropout, size=size
                )
                channels += growth_rate
            add(f"denseblock{number}", block)
            if number < len(blocks):
                fewer = int(channels * compression)
                add(f"transition{number}", Transition(layers, channels, fewer, dropout=dropout, size=size))
                channels, size = fewer, _halved(size, shape)
        add(f"norm{len(blocks) + 1}", layers.norm(channels, size=size))
        self.relu = layers.activation(channels)
        self.classifier = layers.linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """N x channels x H x W to N x classes logits."""
        x = self.relu(self.features(x))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


def densenet(layers: Layers, *, depth: int, dropout: float, classes: int, shape: tuple[int, int, int]) -> DenseNet:
    """DenseNet-121, -161, -169 or -201: with bottlenecks and compression 0.5.

    Args:
        layers: the factory of convolutions, norms and activations.
        depth: weighted layers, 121, 161, 169 or 201.
        dropout: probability of dropping an element after each convolution but the first.
        classes: number of classes.
        shape: (channels, height, width) of one image.

    Raises:
        ValueError: the images are too small.
    """
    growth_rate, channels, blocks = DENSENETS[depth]
    return DenseNet(
        layers,
        blocks=blocks,
        growth_rate=growth_rate,
        channels=channels,
        imagenet_stem=True,
        bottleneck=True,
        compression=0.5,
        dropout=dropout,
        classes=classes,
        shape=shape,
    )


def cifar_densenet(
    layers: Layers,
    *,
    depth: int,
    growth_rate: int = 12,
    bottleneck: bool = True,
    compression: float = 0.5,
    stem_width: int | None = None,
    dropout: float = 0.0,
    classes: int,
    shape: tuple[int, int, int],
) -> DenseNet:
    """DenseNet for small images: three blocks of (depth - 4) / 3 layers, or half as many with bottlenecks.

    Args:
        layers: the factory of convolutions, norms and activations.
        depth: weighted layers.
        growth_rate: channels that each dense layer adds.
        bottleneck: whether dense layers have a 1x1 convolution before the 3x3.
        compression: fraction of the channels that a transition keeps.
        stem_width: channels of the first convolution; None is the paper's, 2 growth_rate with bottlenecks, else 16.
        dropout: probability of dropping an element after each convolution but the first.
        classes: number of classes.
        shape: (channels, height, width) of one image.

    Raises:
        ValueError: no whole number of layers per block gives this depth, or the images are too small.
    """
    n = DENSE_DEPTH[bottleneck].blocks(depth)
    return DenseNet(
        layers,
        blocks=(n, n, n),
        growth_rate=growth_rate,
        channels=stem_width or (2 * growth_rate if bottleneck else 16),
        imagenet_stem=False,
        bottleneck=bottleneck,
        compression=compression,
        dropout=dropout,
        classes=classes,
        shape=shape,
    )


def _halved(size: Size, shape: tuple[int, int, int]) -> Size:
    half = size[0] // 2, size[1] // 2
    if not all(half):
        raise ValueError(
            f"images must be large enough for every transition to halve them, but got {shape[1]}x{shape[2]} pixels; "
            "use larger images, or cifar_densenet"
        )
    return half


def _dropout(layers: Layers, p: float) -> nn.Module:
    return Dropout(p, replicates=layers.replicates) if p else nn.Identity()
