"""`data.augment`: random changes to the training images, in the order in which they are applied."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from wsnet.config.base import Config, NonNegative, Positive, PositiveInt, as_tuple, conflict

__all__ = [
    "AugmentConfig",
    "ColorJitterConfig",
    "CutMixConfig",
    "CutoutConfig",
    "DualCutoutConfig",
    "MixupConfig",
    "RandomErasingConfig",
    "RandomResizedCropConfig",
    "RicapConfig",
]

_Found = tuple[str, tuple[str, ...]]


def _rising(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"must be [low, high] with low <= high, but got {list(value)}")
    return value


Probability = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Area = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
AreaRange = Annotated[tuple[Area, Area], as_tuple(), AfterValidator(_rising)]
Ratios = Annotated[tuple[Positive, Positive], as_tuple(), AfterValidator(_rising)]
Per = Literal["batch", "image"]


class RandomResizedCropConfig(Config):
    """A resized crop of random area and aspect ratio (Szegedy et al. 2015; bilinear, antialiased as in torchvision)."""

    scale: AreaRange = (0.08, 1.0)
    """Smallest and largest area of the crop, as a fraction of the image's."""
    ratio: Ratios = (3 / 4, 4 / 3)
    """Smallest and largest ratio of its width to its height, drawn uniformly on a log scale."""
    size: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Side length in pixels after resizing (unset: the image's own size)."""


class ColorJitterConfig(Config):
    """Random changes of brightness, contrast, saturation and hue, in random order (as in torchvision)."""

    brightness: NonNegative = 0.0
    """The factor is drawn uniformly from 1 - brightness (at least 0) to 1 + brightness."""
    contrast: NonNegative = 0.0
    """Likewise, around the image's mean grey."""
    saturation: NonNegative = 0.0
    """Likewise, around each pixel's grey."""
    hue: Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)] = 0.0
    """The hue shifts by -hue to hue turns of the colour wheel."""
    probability: Probability = 1.0
    """Probability that an image is changed at all."""

    @model_validator(mode="after")
    def _something_is_changed(self) -> "ColorJitterConfig":
        if not (self.brightness or self.contrast or self.saturation or self.hue):
            text = "color_jitter has no effect without brightness, contrast, saturation or hue; give one of them"
            raise conflict((text, ("brightness", "contrast", "saturation", "hue")))
        return self


class CutoutConfig(Config):
    """A square of zeros, the mean colour of normalized images (DeVries & Taylor 2017)."""

    size: PositiveInt
    """Side length of the square in pixels."""
    probability: Probability = 1.0
    """Probability that an image is changed."""
    overhang: bool = True
    """Draw the centre anywhere in the image, so that the square may extend beyond it; false keeps the square inside."""


class RandomErasingConfig(Config):
    """A rectangle of random area and aspect ratio, filled after normalization (Zhong et al. 2020, algorithm 1)."""

    probability: Probability = 0.5
    """Probability that an image is changed."""
    area: AreaRange = (0.02, 0.4)
    """Smallest and largest area of the rectangle, as a fraction of the image's."""
    aspect: Ratios = (0.3, 1 / 0.3)
    """Smallest and largest ratio of its height to its width."""
    log_aspect: bool = False
    """Draw the aspect ratio uniformly on a log scale, as torchvision does, instead of a linear one, as in the paper."""
    value: Literal["one", "per_pixel"] | Annotated[float, Field(allow_inf_nan=False)] = "one"
    """Fill: `one` random value from 0 to 1 for the whole rectangle, standard normal values `per_pixel` and channel, or
    this number."""


class MixupConfig(Config):
    """Mix each image with another of its batch, weighted lambda and 1 - lambda (Zhang et al. 2018)."""

    alpha: Positive = 1.0
    """lambda is drawn from Beta(alpha, alpha)."""
    per: Per = "batch"
    """One lambda for a whole batch, as published, or one for each image."""


class CutMixConfig(Config):
    """Replace a rectangle of each image by that of another (Yun et al. 2019)."""

    alpha: Positive = 1.0
    """The rectangle's share of the area, before clipping at the edge, is 1 - lambda, lambda from Beta(alpha, alpha)."""
    probability: Probability = 1.0
    """Probability that a batch (or image) is mixed: 1 on ImageNet and 0.5 on CIFAR in the paper."""
    per: Per = "batch"
    """One rectangle for a whole batch, as published, or one for each image."""


class RicapConfig(Config):
    """Four crops of four images, patched together (Takahashi et al. 2018)."""

    beta: Positive = 0.3
    """The point where the patches meet is drawn from Beta(beta, beta) in each direction."""
    per: Per = "batch"
    """One meeting point for a whole batch, as published, or one for each image."""


class DualCutoutConfig(Config):
    """Two cutouts of each image in one batch, with a penalty on differing logits. Twice the images, twice the time."""

    size: PositiveInt
    """Side length of the squares in pixels."""
    alpha: NonNegative = 0.1
    """Weight of the mean squared difference of the two views' logits in the loss."""


class AugmentConfig(Config):
    """Random changes to every training image, drawn again in every epoch."""

    crop_padding: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Pad each side by this many black pixels, then crop back to the image's size at a random place; 0 is off."""

    random_resized_crop: RandomResizedCropConfig | None = None
    """Crop a random part and resize it."""

    flip: bool = False
    """Mirror left and right with probability one half."""

    color_jitter: ColorJitterConfig | None = None
    """Change brightness, contrast, saturation and hue."""

    greyscale: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    """Probability of turning an image grey, after the colour jitter."""

    cutout: CutoutConfig | None = None
    """Put a square of zeros over each image, after normalization."""

    random_erasing: RandomErasingConfig | None = None
    """Put a rectangle of random size over images, after normalization."""

    mixup: MixupConfig | None = None
    """Mix pairs of images and of labels. At most one of mixup, cutmix, ricap and dual_cutout."""

    cutmix: CutMixConfig | None = None
    """Paste part of another image into each image, and mix their labels accordingly."""

    ricap: RicapConfig | None = None
    """Patch each image together from four, and mix their labels accordingly."""

    dual_cutout: DualCutoutConfig | None = None
    """Train on two cutouts of each image, with a penalty on differing logits."""

    @model_validator(mode="after")
    def _can_be_combined(self) -> "AugmentConfig":
        found: list[_Found] = []
        mixing = [name for name in ("mixup", "cutmix", "ricap", "dual_cutout") if getattr(self, name) is not None]
        if len(mixing) > 1:
            found.append((f"{' and '.join(mixing)} cannot be combined; keep one of them", tuple(reversed(mixing))))
        if self.dual_cutout is not None and self.cutout is not None:
            found.append(("dual_cutout has its own cutouts; leave out cutout", ("cutout", "dual_cutout")))
        if self.random_resized_crop is not None and self.crop_padding:
            text = f"crop_padding={self.crop_padding} and random_resized_crop both crop; keep one of them"
            found.append((text, ("crop_padding", "random_resized_crop")))
        if found:
            raise conflict(*found)
        return self

    @property
    def mixes(self) -> bool:
        """Whether images of one batch are mixed, so that a label is a distribution over classes."""
        return self.mixup is not None or self.cutmix is not None or self.ricap is not None

    @property
    def views(self) -> int:
        """Views of each image in a batch: 2 with dual cutout."""
        return 1 if self.dual_cutout is None else 2

    def misfits(self, channels: int, height: int, width: int) -> list[_Found]:
        """Options that images of this shape make ineffective or impossible: text and keys, as `conflict` takes them."""
        found: list[_Found] = []
        if channels == 1 and self.greyscale:
            found.append(("greyscale has no effect on images of one channel", ("greyscale",)))
        for name in ("saturation", "hue") if channels == 1 and self.color_jitter else ():
            if getattr(self.color_jitter, name):
                found.append((f"{name} has no effect on images of one channel", (f"color_jitter.{name}",)))
        if self.random_resized_crop is not None and self.random_resized_crop.size is not None:
            height = width = self.random_resized_crop.size
        if self.cutout is not None and not self.cutout.overhang and self.cutout.size > min(height, width):
            text = (
                "cutout.size must not exceed the image where overhang is false, but got "
                f"cutout.size={self.cutout.size} with images of {height} x {width}"
            )
            found.append((text, ("cutout.size", "cutout.overhang")))
        return found
