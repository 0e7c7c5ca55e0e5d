"""Image sets and the loader: arrays or files of images, batched augmentation, the batches of every epoch.

images = load(config.data, root=data_root(None))
batches = Batches(images.train, batch_size=128, mean=images.mean, std=images.std, augment=..., seed=0, device="cpu")
for batch in batches.epoch(1): ...
"""

from wsnet.data.batches import Batch, TensorSet, on_device
from wsnet.data.cache import cache_folder, data_root
from wsnet.data.images import DataError, ImageFiles, ImageSet, ImageSplits
from wsnet.data.load import load
from wsnet.data.loader import Batches, evaluation_batches
from wsnet.data.stacked_batches import StackedBatches

__all__ = [
    "Batch",
    "Batches",
    "DataError",
    "ImageFiles",
    "ImageSet",
    "ImageSplits",
    "StackedBatches",
    "TensorSet",
    "cache_folder",
    "data_root",
    "evaluation_batches",
    "load",
    "on_device",
]
