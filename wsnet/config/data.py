"""`data`: which images, how they are split, how they are augmented."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from wsnet.config.augment import AugmentConfig
from wsnet.config.base import Config, NonNegativeInt, PositiveInt, absolute, conflict
from wsnet.config.datasets import IMAGE_SETS, MOST_CLASSES, DataError, SetFacts

__all__ = ["OWN_SETS", "AugmentConfig", "DataConfig", "FoundConfig"]

OWN_SETS = ("folder", "parquet")
"""Sets about which nothing is known until their files are inspected (`reading.own_files`)."""


class FoundConfig(Config):
    """What was found in the files of your own image set. Leave it out of your files: reading fills it in."""

    path: str
    """The folder that was inspected."""
    train: PositiveInt
    """Training images."""
    test: PositiveInt
    """Test images."""
    classes: Annotated[int, Field(ge=1, le=MOST_CLASSES)]
    """Classes."""
    channels: PositiveInt
    """Channels of the first training image: 1 (grey) or 3."""
    height: PositiveInt
    """Rows of the first training image."""
    width: PositiveInt
    """Columns of the first training image."""


class DataConfig(Config):
    """Images and their splits."""

    name: Literal["digits", "cifar10", "cifar100", "mnist", "fashion_mnist", "imagenet", "folder", "parquet"]
    """The image set. `digits` comes with scikit-learn; `folder` (train/<class>/*.jpg and test/ or val/) and `parquet`
    (train.parquet and test.parquet in the Hugging Face layout) are your own; the others are in the data folder."""

    path: Annotated[str | None, AfterValidator(absolute)] = None
    """Folder of your own images, or of `imagenet` (unset: imagenet/ in the data folder). A relative path is relative to
    the file that contains it; on the command line, to the working directory."""

    size: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Side length in pixels of the images of `folder`, `parquet` and `imagenet`. The shorter side is resized to it
    (bilinear, antialiased) and the centre cropped; unset, all images must have the first training image's size. In a
    streamed set, the random crops are resized to it, or to 224 if unset."""

    channels: Literal[1, 3] | None = None
    """1 converts the images of `folder` and `parquet` to grey, 3 to colour (unset: as in the first training image)."""

    stream: bool = False
    """Read and decode the files of a `folder` again in every epoch, with a random resized crop, for a set that does not
    fit into memory. `imagenet` is always streamed."""

    validation: NonNegativeInt = 0
    """Training images held out for validation: stratified, and always the same ones."""

    limit: PositiveInt | None = Field(default=None)
    """Use at most this many training, validation and test images each, stratified; for a quick look only."""

    augment: AugmentConfig = AugmentConfig()
    """Augmentation of the training images."""

    workers: NonNegativeInt = 0
    """Processes that prepare batches; 0 prepares them in the training process. The results are the same."""

    found: FoundConfig | None = None
    """What was found in the files of your own image set."""

    @property
    def streams(self) -> bool:
        """Whether the images are read and decoded again in every epoch."""
        return self.stream or self.name == "imagenet"

    @property
    def facts(self) -> SetFacts:
        """What is known about the set before decoding; for a user's own set, without mean and standard deviation."""
        if self.name not in OWN_SETS:
            known = IMAGE_SETS[self.name]
            return known if self.size is None else replace(known, shape=(known.shape[0], self.size, self.size))
        found = self.found
        assert found is not None, "wsnet.config.reading.own_files.with_images finds what this set is"
        size = self.size or (224 if self.stream else None)
        channels = 3 if self.stream else self.channels or found.channels
        shape = (channels, size or found.height, size or found.width)
        return SetFacts(train=found.train, test=found.test, classes=found.classes, shape=shape, mean=(), std=())

    @property
    def train_size(self) -> int:
        """Images left for training after holding out the validation split and applying the limit."""
        size = self.facts.train - self.validation
        return size if self.limit is None else min(size, self.limit)

    @property
    def test_size(self) -> int:
        """Test images, after applying the limit."""
        return self.facts.test if self.limit is None else min(self.facts.test, self.limit)

    @model_validator(mode="before")
    @classmethod
    def _own_files_are_as_they_should_be(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("found"), DataError):
            raise conflict((str(data["found"]), ("path",)))
        return data

    @model_validator(mode="after")
    def _each_option_has_an_effect(self) -> "DataConfig":
        found: list[tuple[str, tuple[str, ...]]] = []
        own = self.name in OWN_SETS
        for key, takes in (("path", own or self.name == "imagenet"), ("size", own or self.name == "imagenet")):
            if getattr(self, key) is not None and not takes:
                found.append((f"has no effect with {self.name!r}; only imagenet, folder and parquet take it", (key,)))
        if own and self.path is None:
            found.append((f"data.name {self.name!r} needs data.path, the folder of the images", ("name", "path")))
        if self.found is not None and not own:
            found.append((f"has no effect with {self.name!r}; leave it out", ("found",)))
        if self.channels is not None and (not own or self.stream):
            found.append(("has an effect only with folder and parquet, without stream", ("channels",)))
        if self.stream and self.name != "folder":
            always = "; imagenet is always streamed" if self.name == "imagenet" else ""
            found.append((f"has no effect with {self.name!r}; only 'folder' takes it{always}", ("stream",)))
        if self.streams and self.augment.crop_padding:
            text = "augment.crop_padding has no effect on streamed images: they are always cropped and resized"
            found.append((text, ("augment.crop_padding",)))
        if self.streams and self.augment.random_resized_crop and self.augment.random_resized_crop.size:
            text = "augment.random_resized_crop.size has no effect on streamed images; give data.size"
            found.append((text, ("augment.random_resized_crop.size",)))
        if found:
            raise conflict(*found)
        return self

    @model_validator(mode="after")
    def _some_images_are_left_for_training(self) -> "DataConfig":
        if self.validation >= self.facts.train:
            text = (
                f"validation must leave images to train on, but got validation={self.validation} of the "
                f"{self.facts.train} training images of {self.name!r}"
            )
            raise conflict((text, ("validation", "name")))
        return self

    @model_validator(mode="after")
    def _the_augmentation_fits_the_images(self) -> "DataConfig":
        found = self.augment.misfits(*self.facts.shape)
        if found:
            raise conflict(*((text, tuple(f"augment.{key}" for key in keys)) for text, keys in found))
        return self
