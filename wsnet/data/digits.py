"""The 1,797 handwritten digits of 8x8 pixels that come with scikit-learn."""

import importlib.util
from pathlib import Path

import numpy as np

from wsnet.data.images import DataError, ImageSet
from wsnet.data.split import complement, stratified

__all__ = ["decode_digits", "digits_files"]

_TEST_SIZE = 300


def digits_files() -> list[Path]:
    """The file of scikit-learn that holds the digits, found without importing scikit-learn (which takes a second).

    Raises:
        DataError: if scikit-learn is not installed.
    """
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("'digits' comes with scikit-learn, which is not installed: pip install scikit-learn")
    return [Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"]


def decode_digits() -> tuple[ImageSet, ImageSet, tuple[str, ...]]:
    """Read the digits and part them into wsnet's fixed stratified split (they have no official one).

    Returns:
        1,497 training images, 300 test images, the classes. A pixel's 0 to 16 becomes round(value * 255 / 16).
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * 255 / 16).astype(np.uint8)[..., None]
    everything = ImageSet(pixels, digits.target.astype(np.int64))
    test = stratified(everything.labels, _TEST_SIZE, purpose="digits test")
    train = complement(test, len(everything))
    return everything.subset(train), everything.subset(test), tuple(str(digit) for digit in range(10))
