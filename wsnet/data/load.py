"""From the `data` section of a trial to the images that it trains, validates and tests on."""

import hashlib
import json
from pathlib import Path

from wsnet.config.data import DataConfig
from wsnet.data.cache import data_root, decoded
from wsnet.data.file_index import indexed
from wsnet.data.images import ImageSplits, Split, WholeSet
from wsnet.data.split import SPLIT_VERSION, complement, stratified

__all__ = ["load"]


def load(config: DataConfig, *, root: Path | None = None, check: bool = True) -> ImageSplits:
    """Load an image set and divide it into splits.

    With neither a validation split nor a limit, the arrays are those mapped from the cache; otherwise they are copies.
    The files of a streamed set are listed, and read once to hash them.

    Args:
        config: which images, how many for validation, the limit.
        root: the folder of image sets; None is $WSNET_DATA or ./data.
        check: whether to check every file of a streamed set for changes (see `wsnet.data.file_index`).

    Raises:
        DataError: if the images are missing or damaged; the message says where they were looked for.
    """
    root = data_root() if root is None else root
    if config.streams:
        return _divided(indexed(config, root, check=check), config)
    return _divided(decoded(config, root), config)


def _divided(images: WholeSet[Split], config: DataConfig) -> ImageSplits:
    train, test = images.train, images.test
    validation: Split | None = None
    if config.validation:
        chosen = stratified(train.labels, config.validation, purpose="validation")
        validation = train.subset(chosen)
        train = train.subset(complement(chosen, len(train)))
    if config.limit is not None:
        train, test = _limited(train, config.limit, "train"), _limited(test, config.limit, "test")
        validation = validation and _limited(validation, config.limit, "validation")
    sizes = [len(train), len(validation or ()), len(test)]
    how = [images.sha256, SPLIT_VERSION, config.validation, sizes]
    mean, std = images.statistics or (config.facts.mean, config.facts.std)
    return ImageSplits(
        train=train,
        validation=validation,
        test=test,
        classes=images.classes,
        mean=mean,
        std=std,
        hash=hashlib.sha256(json.dumps(how).encode()).hexdigest(),
    )


def _limited(images: Split, limit: int, part: str) -> Split:
    if limit >= len(images):
        return images
    return images.subset(stratified(images.labels, limit, purpose=f"limit {part}"))
