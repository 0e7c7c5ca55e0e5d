"""`model`: the architecture, its normalization and its weight reparametrization. One class per architecture."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from wsnet.called import called
from wsnet.config.base import Config, Fraction, PositiveInt, absolute, as_tuple, conflict
from wsnet.config.channels import check_groups
from wsnet.config.depths import DENSE_DEPTH, RESIDUAL_DEPTH, WIDE_DEPTH, check_depth, depth_conflict
from wsnet.config.norm import BatchNormConfig, EvoNormS0Config, GroupNormConfig, NoNormConfig, NormConfig

__all__ = [
    "AlexNetConfig",
    "CifarDenseNetConfig",
    "CifarResNeXtConfig",
    "CifarResNetConfig",
    "ClassifierInit",
    "ConvInit",
    "DenseNetConfig",
    "ModelConfig",
    "NetworkConfig",
    "PreActResNetConfig",
    "PyramidNetConfig",
    "ResNeXtConfig",
    "ResNetConfig",
    "ResidualConfig",
    "ShakeShakeConfig",
    "ThreeStageConfig",
    "TorchvisionConfig",
    "VGGConfig",
    "WRNConfig",
]

ConvInit = Literal["fan_out", "fan_in", "uniform"]
ClassifierInit = Literal["uniform", "normal"]

Depth = Annotated[int, Field(le=2000)]
"""Number of layers. Published networks have up to 1202, and building a million layers would take hours."""
Channels = Annotated[int, Field(ge=1, le=100_000)]
"""Number of channels or groups, or a factor of it; `wsnet.models` bounds the number of parameters that follows."""


class NetworkConfig(Config):
    """Options of every architecture: how activations are normalized, weights reparametrized and weights initialized."""

    norm: NormConfig = BatchNormConfig(name="batch")
    """How activations are normalized."""
    weight: Literal["none", "standardized", "normalized"] = "none"
    """How each convolution's weights are reparametrized: not at all, standardized (Qiao et al. 2019), or normalized
    (Salimans & Kingma 2016: a direction and a gain for each filter). The classifier's weights never are."""
    weight_init: Literal["plain", "data_dependent"] = "plain"
    """Initialization of normalized weights: as in a plain convolution, or with a gain and a bias for each filter that
    standardize its output on the first batch (Salimans & Kingma 2016, section 3; only without a norm)."""
    residual_init: Literal["default", "zero"] = "default"
    """`zero` makes each residual branch begin as zero: its last norm's scale (Goyal et al. 2017), or without a norm its
    last convolution's weights or gain (Zhang et al. 2019, Fixup), are zero. Deep residual networks without a norm
    need it."""

    init: ConvInit = "fan_out"
    """Initial weights of convolutions: normal with variance 2 / fan_out (He et al. 2015; the same as 2 / (k * k *
    out_channels)) or 2 / fan_in, biases 0; or torch's default, weights and biases uniform in +-1 / sqrt(fan_in)."""
    classifier_init: ClassifierInit = "uniform"
    """Initial weights of the classifier: torch's default, weights and biases uniform in +-1 / sqrt(fan_in); or normal
    with standard deviation 0.01, biases 0."""

    pretrained: Annotated[bool | str, AfterValidator(absolute)] = False
    """Weights to start from instead: true for torchvision's (where it has this network), or the path of a file of
    weights with the same names. A last linear layer with a different number of classes is not loaded. The file's
    content is part of a trial's identity, its path is not."""
    checkpointing: bool = False
    """Activation checkpointing: keep only the input of each residual or dense block and recompute the block in the
    backward pass. Less memory, a third more time, the same results. Not with execution.compile."""

    @model_validator(mode="after")
    def _pretrained_has_an_effect(self) -> Self:
        if self.pretrained and self.weight_init == "data_dependent":
            text = "model.pretrained has no effect with weight_init 'data_dependent', which resets gains and biases"
            raise conflict((text, ("pretrained", "weight_init")))
        return self

    @model_validator(mode="after")
    def _weight_init_has_an_effect(self) -> Self:
        if self.weight_init == "data_dependent" and (self.weight != "normalized" or self.norm.name != "none"):
            text = (
                "model.weight_init 'data_dependent' needs weight 'normalized' and norm 'none', but got "
                f"weight {self.weight!r} and norm {self.norm.name!r}"
            )
            raise conflict((text, ("weight_init", "weight", "norm.name")))
        return self

    @model_validator(mode="after")
    def _groups_divide_the_channels(self) -> Self:
        norm = self.norm
        if isinstance(norm, GroupNormConfig | EvoNormS0Config):
            options = self.model_dump(exclude={"name", *NetworkConfig.model_fields})
            check_groups(norm.groups, getattr(self, "name", ""), options, before_sums=norm.name == "group")
        return self


class AlexNetConfig(NetworkConfig):
    """AlexNet (Krizhevsky 2014): five convolutions; with a norm, one follows each."""

    name: Literal["alexnet"]
    layout: Literal["imagenet", "cifar"] = "imagenet"
    """Padding, pooling and classifier (three linear layers or one) for large images, or for small ones."""
    norm: NormConfig = NoNormConfig(name="none")
    """How activations are normalized."""
    init: ConvInit = "uniform"
    """Initial weights of convolutions (options as for every network; default here: torch's, as in torchvision)."""


class VGGConfig(NetworkConfig):
    """VGG (Simonyan & Zisserman 2015, table 1): five stages of 3x3 convolutions."""

    name: Literal["vgg"]
    depth: Literal[11, 13, 16, 19]
    """Number of weighted layers. Some code's "VGG-like net of depth 15" is depth 16 with layout cifar here."""
    layout: Literal["imagenet", "cifar"] = "imagenet"
    """Classifier: three linear layers after an average pool to 7x7, or (for small images) one."""
    conv_bias: bool = True
    """Whether convolutions have biases; published code has them even before a norm."""
    norm: NormConfig = NoNormConfig(name="none")
    """How activations are normalized."""
    classifier_init: ClassifierInit = "normal"
    """Initial weights of the linear layers (options as for every network; default here: normal)."""


class ResidualConfig(NetworkConfig):
    """Options of every residual network."""

    se_reduction: PositiveInt | None = None
    """Reduction ratio of the squeeze-and-excitation (Hu et al. 2018) in each block (16 in the paper); null for no
    squeeze-and-excitation."""


class ThreeStageConfig(ResidualConfig):
    """A residual network for small images: a 3x3 stem and three stages of n blocks."""

    block: Literal["basic", "bottleneck"] = "basic"
    """Two 3x3 convolutions, or 1x1, 3x3 and 1x1."""
    depth: Depth
    """Number of weighted layers: 6n + 2 with basic blocks, 9n + 2 with bottlenecks."""
    width: Channels = 16
    """Channels inside the blocks of the first stage; the second has twice, the third four times as many."""
    first_stage: Literal["expanded", "stem"] = "expanded"
    """Output channels of the first stage with bottlenecks: four times the stem's (He et al. 2016), or as many as the
    stem's (hysts/pytorch_image_classification)."""
    shortcut: Literal["A", "B"] = "B"
    """Shortcut where sizes change: A subsamples and pads with zeros, B is a strided 1x1 convolution and a norm."""

    @field_validator("depth")
    @classmethod
    def _whole_blocks(cls, depth: int, info: ValidationInfo) -> int:
        if info.data.get("block") == "bottleneck":
            examples = "11, 20, 29, 56, 110, 164, 1001"
            return check_depth(depth, RESIDUAL_DEPTH["bottleneck"], examples, " with bottlenecks")
        return check_depth(depth, RESIDUAL_DEPTH["basic"], "8, 14, 20, 32, 44, 56, 110")

    @model_validator(mode="after")
    def _first_stage_has_an_effect(self) -> Self:
        if self.first_stage == "stem" and (self.block == "basic" or self.width % 4):
            text = (
                "model.first_stage 'stem' needs block 'bottleneck' and a width divisible by 4, but got "
                f"block {self.block!r} and width {self.width}"
            )
            raise conflict((text, ("first_stage", "block", "width")))
        return self


class CifarResNetConfig(ThreeStageConfig):
    """The three-stage ResNet for small images (He et al. 2016, section 4.2)."""

    name: Literal["cifar_resnet"]


class ResNetConfig(ResidualConfig):
    """The four-stage ResNet for ImageNet (He et al. 2016, table 1; stride in the 3x3 as in torchvision)."""

    name: Literal["resnet"]
    depth: Literal[18, 34, 50, 101, 152]
    """Number of weighted layers."""
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """First layer: 7x7 stride 2 and a 3x3 max-pool, or (for small images) 3x3 stride 1 and no pool."""


class ResNeXtConfig(ResidualConfig):
    """ResNeXt: bottlenecks with grouped 3x3 convolutions (Xie et al. 2017)."""

    name: Literal["resnext"]
    depth: Literal[50, 101, 152]
    """Number of weighted layers."""
    cardinality: Channels = 32
    """Groups of the 3x3 convolutions."""
    group_width: Channels = 4
    """Channels per group in the first stage (the 4 of 32x4d)."""
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """First layer: 7x7 stride 2 and a 3x3 max-pool, or (for small images) 3x3 stride 1 and no pool."""


class CifarResNeXtConfig(ResidualConfig):
    """The three-stage ResNeXt for small images (Xie et al. 2017, section 5.3): 9n + 2 layers."""

    name: Literal["cifar_resnext"]
    depth: Depth = 29
    """Number of weighted layers, 9n + 2."""
    cardinality: Channels = 8
    """Groups of the 3x3 convolutions."""
    group_width: Channels = 64
    """Channels per group in the first stage (the 64 of 8x64d)."""

    @field_validator("depth")
    @classmethod
    def _whole_blocks(cls, depth: int) -> int:
        return check_depth(depth, RESIDUAL_DEPTH["bottleneck"], "11, 20, 29")


class PreActResNetConfig(ThreeStageConfig):
    """The three-stage ResNet with norm and activation before each convolution (He et al. 2016, arXiv:1603.05027)."""

    name: Literal["preact_resnet"]
    shortcut: Literal["A", "B"] = "B"
    """Shortcut where sizes change: A subsamples and pads with zeros, B is a strided 1x1 convolution without a norm."""
    preact_stage: Annotated[tuple[bool, bool, bool], as_tuple()] = (True, True, True)
    """Whether, in the first block of each stage, the first norm and activation also precede the shortcut."""
    remove_first_relu: bool = False
    """Whether blocks begin with a norm but no activation (Han et al. 2017, PyramidNet), except where `preact_stage`
    puts the activation before the shortcut."""
    add_last_norm: bool = False
    """Whether each block's last convolution is followed by a norm (as in PyramidNet; hysts' `add_last_bn`)."""


class WRNConfig(NetworkConfig):
    """Wide ResNet (Zagoruyko & Komodakis 2016): 6n + 4 convolutions in pre-activation blocks, k times as wide."""

    name: Literal["wrn"]
    depth: Depth = 28
    """Number of convolutions, 6n + 4, including those of the three shortcuts."""
    widening: Channels = 10
    """k: number of channels as a multiple of ResNet's."""
    dropout: Fraction = 0.0
    """Probability of dropping an element before each block's second convolution."""
    init: ConvInit = "fan_in"
    """Initial weights of convolutions (options as for every network; default here: fan_in, as in the authors' code)."""

    @field_validator("depth")
    @classmethod
    def _whole_blocks(cls, depth: int) -> int:
        return check_depth(depth, WIDE_DEPTH, "10, 16, 22, 28, 40")


class _DenseNetConfig(NetworkConfig):
    dropout: Fraction = 0.0
    """Dropout probability after each convolution except the first (section 4.2: 0.2 on CIFAR without augmentation)."""

    @model_validator(mode="after")
    def _residual_init_has_an_effect(self) -> Self:
        if self.residual_init != "default":
            text = f"model.residual_init has no effect in DenseNets (no residual branches); got {self.residual_init!r}"
            raise conflict((text, ("residual_init", "name")))
        return self


class CifarDenseNetConfig(_DenseNetConfig):
    """DenseNet for small images in three dense blocks (Huang et al. 2017); by default DenseNet-BC."""

    name: Literal["cifar_densenet"]
    depth: Depth
    """Number of weighted layers: 6n + 4 with bottlenecks (100, 190, 250), 3n + 4 without (40, 100)."""
    growth_rate: Channels = 12
    """Channels that each dense layer adds (the paper's k)."""
    bottleneck: bool = True
    """Whether a 1x1 convolution to four times the growth rate comes before each 3x3 (the B of BC)."""
    compression: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Fraction of the channels that a transition keeps (the C of BC); 1 for the plain DenseNet."""

    stem_width: Channels | None = None
    """Channels of the first convolution. Unset, as in the paper: twice the growth rate with bottlenecks, 16 without.
    (One published implementation always has twice the growth rate.)"""

    @model_validator(mode="after")
    def _depth_fills_three_blocks(self) -> Self:
        where = f" {'with' if self.bottleneck else 'without'} bottlenecks"
        depth_conflict(self.depth, DENSE_DEPTH[self.bottleneck], where, ("bottleneck",))
        return self


class DenseNetConfig(_DenseNetConfig):
    """DenseNet-BC for ImageNet in four dense blocks (Huang et al. 2017, table 1), as in torchvision."""

    name: Literal["densenet"]
    depth: Literal[121, 161, 169, 201]
    """Number of weighted layers. 161 has growth rate 48, the others 32."""


class PyramidNetConfig(NetworkConfig):
    """PyramidNet for small images (Han et al. 2017): every block is a little wider than the one before."""

    name: Literal["pyramidnet"]
    depth: Depth
    """Number of weighted layers: 6n + 2 with basic blocks (110), 9n + 2 with bottlenecks (164, 272)."""
    alpha: Annotated[float, Field(gt=0, le=100_000)]
    """Channels added over all blocks together (48, 84, 200, 240, 270)."""
    block: Literal["basic", "bottleneck"] = "basic"
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1 with four times as many output channels as inner ones."""
    width: Channels = 16
    """Channels that the widening starts from."""
    stem_width: Channels | None = None
    """Channels of the first convolution; unset: `width`. (One published implementation has 4 * width with
    bottlenecks.)"""

    @model_validator(mode="after")
    def _depth_fills_three_stages(self) -> Self:
        depth_conflict(self.depth, RESIDUAL_DEPTH[self.block], f" with {self.block} blocks", ("block",))
        return self


class ShakeShakeConfig(NetworkConfig):
    """Shake-shake (Gastaldi 2017): residual blocks with two branches, mixed at random. By default S-S-I."""

    name: Literal["shake_shake"]
    depth: Depth = 26
    """Number of weighted layers, 6n + 2."""
    width: Channels = 32
    """Channels of the first stage (the 32 of 2x32d); the second has twice, the third four times as many."""
    stem_width: Channels = 16
    """Channels of the first convolution. (One published implementation has as many as the first stage.)"""
    forward: Literal["shake", "even"] = "shake"
    """Weight of the first branch in the forward pass: drawn between 0 and 1, or one half."""
    backward: Literal["shake", "even", "keep"] = "shake"
    """The first branch's weight in the backward pass: drawn again, one half, or as in the forward pass."""
    level: Literal["image", "batch"] = "image"
    """Whether each image has its own weight, or the whole batch shares one."""

    @model_validator(mode="after")
    def _depth_fills_three_stages(self) -> Self:
        depth_conflict(self.depth, RESIDUAL_DEPTH["basic"], "", ())
        return self

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> Self:
        found: list[tuple[str, tuple[str, ...]]] = []
        if self.forward == "even" and self.backward == "keep":
            found.append(("backward 'keep' with forward 'even' is backward 'even'; use that", ("backward", "forward")))
        if (self.forward, self.backward) == ("even", "even") and self.level != "image":
            text = "level has no effect where nothing is drawn (forward 'even', backward 'even'); leave it out"
            found.append((text, ("level", "forward", "backward")))
        if found:
            raise conflict(*found)
        return self


_THEIR_OWN = ("norm", "weight", "weight_init", "residual_init", "init", "classifier_init")


class TorchvisionConfig(NetworkConfig):
    """A classification network of torchvision, with its own norms, initial weights and dropout rates."""

    name: Literal["torchvision"]
    architecture: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    """The network's name in torchvision.models, such as squeezenet1_0, inception_v3 (299x299), mobilenet_v2."""

    @model_validator(mode="after")
    def _layers_are_its_own(self) -> Self:
        fields = type(self).model_fields
        found = [
            (
                f"model.{key} has no effect on torchvision's networks, which have their own layers; leave it out, "
                f"or use one of wsnet's own networks ({called('models')} lists them)",
                (key, "name"),
            )
            for key in _THEIR_OWN
            if getattr(self, key) != fields[key].default
        ]
        if found:
            raise conflict(*found)
        return self


ModelConfig = Annotated[
    AlexNetConfig
    | VGGConfig
    | CifarResNetConfig
    | ResNetConfig
    | PreActResNetConfig
    | WRNConfig
    | CifarResNeXtConfig
    | ResNeXtConfig
    | CifarDenseNetConfig
    | DenseNetConfig
    | PyramidNetConfig
    | ShakeShakeConfig
    | TorchvisionConfig,
    Field(discriminator="name"),
]
