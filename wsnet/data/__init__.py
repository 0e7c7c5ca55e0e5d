"""Image sets as arrays, batched augmentation, the epoch iterator.

images = load(config.data, root=data_root(None))
batches = Batches(images.train, batch_size=128, mean=images.mean, std=images.std, augment=..., seed=0, device="cpu")
for batch in batches.epoch(1): ...
"""

from wsnet.data.batches import Batch, TensorSet
from wsnet.data.cache import cache_folder, data_root
from wsnet.data.either import evaluation_batches, on_device, training_batches
from wsnet.data.files import ImageFiles
from wsnet.data.images import DataError, ImageSet, ImageSplits
from wsnet.data.load import load
from wsnet.data.training import Batches

__all__ = [
    "Batch",
    "Batches",
    "DataError",
    "ImageFiles",
    "ImageSet",
    "ImageSplits",
    "TensorSet",
    "cache_folder",
    "data_root",
    "evaluation_batches",
    "load",
    "on_device",
    "training_batches",
]
