"""Networks without shortcuts: AlexNet and VGG."""

from typing import Literal

from wsnet.config.network import ClassifierInit, ConvInit, NetworkConfig
from wsnet.config.norm import NoNormConfig, NormConfig

__all__ = ["AlexNetConfig", "VGGConfig"]


class AlexNetConfig(NetworkConfig):
    """AlexNet (Krizhevsky 2014): five convolutions; with a norm, one follows each."""

    name: Literal["alexnet"]
    layout: Literal["imagenet", "cifar"] = "imagenet"
    """Paddings, pools and classifier (three linear layers or one) for large images, or for small ones."""
    norm: NormConfig = NoNormConfig(name="none")
    """How activations are normalized."""
    init: ConvInit = "uniform"
    """Initial weights of convolutions (as for every network; here torch's default, as in torchvision)."""


class VGGConfig(NetworkConfig):
    """VGG (Simonyan & Zisserman 2015, table 1): five stages of 3x3 convolutions."""

    name: Literal["vgg"]
    depth: Literal[11, 13, 16, 19]
    """Number of weighted layers. The "VGG-like net of depth 15" of some code is 16 with the layout cifar."""
    layout: Literal["imagenet", "cifar"] = "imagenet"
    """Classifier: three linear layers after an average pool to 7x7, or (for small images) one."""
    conv_bias: bool = True
    """Whether convolutions have biases; published code has them before a norm too."""
    norm: NormConfig = NoNormConfig(name="none")
    """How activations are normalized."""
    classifier_init: ClassifierInit = "normal"
    """Initial weights of the linear layers (as for every network; here normal with standard deviation 0.01)."""
