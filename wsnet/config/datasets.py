"""Facts about the image sets that wsnet knows by name: sizes, classes, and published channel statistics."""

from dataclasses import dataclass

from wsnet.errors import Error

__all__ = ["IMAGE_SETS", "MOST_CLASSES", "DataError", "SetFacts"]

MOST_CLASSES = 1_000_000
"""Most classes of an image set: a label above is a mistake, and each class costs memory."""


class DataError(Error):
    """Images that are missing, damaged, or not what their name says. The message says which and what to do."""


@dataclass(frozen=True, kw_only=True)
class SetFacts:
    """What is known about an image set before any of it is read.

    Attributes:
        train: images in the official training set (a validation split is taken from it).
        test: images in the official test set.
        classes: number of classes.
        shape: (channels, height, width) of one image.
        mean: per-channel mean of the training pixels, as a fraction of 255.
        std: per-channel standard deviation of the training pixels, as a fraction of 255.
    """

    train: int
    test: int
    classes: int
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]


IMAGE_SETS = {
    # The 1,797 handwritten digits inside scikit-learn; it has no official split, so wsnet fixes one (see wsnet.data).
    "digits": SetFacts(train=1497, test=300, classes=10, shape=(1, 8, 8), mean=(0.3051,), std=(0.3758,)),
    "cifar10": SetFacts(
        train=50_000,
        test=10_000,
        classes=10,
        shape=(3, 32, 32),
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    ),
    "cifar100": SetFacts(
        train=50_000,
        test=10_000,
        classes=100,
        shape=(3, 32, 32),
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
    ),
    "mnist": SetFacts(train=60_000, test=10_000, classes=10, shape=(1, 28, 28), mean=(0.1307,), std=(0.3081,)),
    "fashion_mnist": SetFacts(train=60_000, test=10_000, classes=10, shape=(1, 28, 28), mean=(0.2860,), std=(0.3530,)),
    # ILSVRC2012, at the usual size after cropping. The statistics are those of torchvision's recipes.
    "imagenet": SetFacts(
        train=1_281_167,
        test=50_000,
        classes=1000,
        shape=(3, 224, 224),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
}
