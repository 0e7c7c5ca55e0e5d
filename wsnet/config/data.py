"""`data`: which images, how they are split, how they are augmented."""

from typing import Literal

from pydantic import Field, model_validator

from wsnet.config.augment import AugmentConfig
from wsnet.config.base import Config, NonNegativeInt, PositiveInt, conflict
from wsnet.config.sets import IMAGE_SETS, SetFacts

__all__ = ["AugmentConfig", "DataConfig"]


class DataConfig(Config):
    """Images and their splits."""

    name: Literal["digits", "cifar10", "cifar100", "mnist", "fashion_mnist"]
    """The image set. `digits` comes with scikit-learn; the others are read from the data folder."""

    validation: NonNegativeInt = 0
    """Images carved out of the training set for validation: stratified, with a split that never changes."""

    limit: PositiveInt | None = Field(default=None)
    """Use at most so many training, validation and test images each, stratified; for a quick look, not for results."""

    augment: AugmentConfig = AugmentConfig()
    """Augmentation of the training images."""

    workers: NonNegativeInt = 0
    """Processes that prepare batches; 0 prepares them in the training process. The numbers are the same."""

    @property
    def facts(self) -> SetFacts:
        """What is known of the set before it is read."""
        return IMAGE_SETS[self.name]

    @property
    def train_size(self) -> int:
        """Images left for training once the validation split is carved out and the limit applied."""
        size = self.facts.train - self.validation
        return size if self.limit is None else min(size, self.limit)

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
