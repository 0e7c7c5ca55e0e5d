"""From the `data` section of a trial to the arrays that it trains, validates and tests on."""

import hashlib
import json
from pathlib import Path

from wsnet.config.data import DataConfig
from wsnet.data.cache import decoded
from wsnet.data.images import ImageSet, ImageSplits
from wsnet.data.location import data_root
from wsnet.data.split import SPLIT_VERSION, complement, stratified

__all__ = ["load"]


def load(config: DataConfig, *, root: Path | None = None) -> ImageSplits:
    """Load an image set and part it into splits.

    With neither a validation split nor a limit, the arrays are those mapped from the cache; a split is a copy.

    Args:
        config: which images, how many for validation, the limit.
        root: the folder of image sets; None is $WSNET_DATA or ./data.

    Raises:
        DataError: if the images are missing or damaged; the message says where they were looked for.
    """
    images = decoded(config.name, data_root() if root is None else root)
    train, validation, test = images.train, None, images.test
    if config.validation:
        chosen = stratified(train.labels, config.validation, purpose="validation")
        validation = train.subset(chosen)
        train = train.subset(complement(chosen, len(train)))
    if config.limit is not None:
        train, test = _limited(train, config.limit, "train"), _limited(test, config.limit, "test")
        validation = validation and _limited(validation, config.limit, "validation")
    sizes = [len(train), len(validation or ()), len(test)]
    how = [images.sha256, SPLIT_VERSION, config.validation, sizes]
    return ImageSplits(
        train=train,
        validation=validation,
        test=test,
        classes=images.classes,
        mean=config.facts.mean,
        std=config.facts.std,
        hash=hashlib.sha256(json.dumps(how).encode()).hexdigest(),
    )


def _limited(images: ImageSet, limit: int, part: str) -> ImageSet:
    if limit >= len(images):
        return images
    return images.subset(stratified(images.labels, limit, purpose=f"limit {part}"))
