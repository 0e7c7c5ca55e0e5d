"""Made-up images of a data set's shape, for benchmarks whose time does not depend on what the images show."""

import numpy as np

from wsnet.config import TrialConfig
from wsnet.data import ImageSet, ImageSplits

__all__ = ["made_up_images"]


def made_up_images(config: TrialConfig, count: int) -> ImageSplits:
    """`count` random images with random labels, of the shape that a trial's data has, to train and to test on."""
    facts, generator = config.data.facts, np.random.default_rng(0)
    pixels = generator.integers(0, 256, (count, *facts.shape[1:], facts.shape[0]), dtype=np.uint8)
    split = ImageSet(pixels, generator.integers(0, 10, count))
    classes = tuple(map(str, range(10)))
    return ImageSplits(
        train=split, validation=None, test=split, hash="made up", classes=classes, mean=facts.mean, std=facts.std
    )
