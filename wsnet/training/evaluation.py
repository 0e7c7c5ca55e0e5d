"""Loss and errors on a split, and the statistics that norms are evaluated with (`train.evaluation_statistics`)."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wsnet.config import TrialConfig
from wsnet.config.trial import RecomputedConfig
from wsnet.data import Batch, ImageSplits, on_device, training_batches
from wsnet.layers import has_running_statistics, recomputed_statistics
from wsnet.training.errors import TrialError
from wsnet.training.meter import Measured, Meter

__all__ = ["EvaluationStatistics", "autocast", "evaluate"]


def evaluate(
    model: nn.Module, batches: Iterable[Batch], *, device: torch.device, precision: str = "float32"
) -> Measured:
    """Measure a model on batches, in eval mode and without gradients.

    Args:
        model: maps (B, C, H, W) to logits (B, classes); its mode is put back.
        batches: the split's batches; with several workers, this worker's share.
        device: where model and batches are.
        precision: as in `train.precision`.

    Returns:
        Means over the whole split, over all workers.
    """
    meter = Meter(device)
    training = model.training
    model.eval()
    with torch.no_grad(), autocast(device, precision):
        for batch in batches:
            logits = model(batch.images)
            meter.add(F.cross_entropy(logits, batch.labels), logits, batch.labels)
    model.train(training)
    return meter.read()


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Automatic mixed precision where the precision asks for it."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else contextlib.nullcontext()


class EvaluationStatistics:
    """Lends a model in training the statistics for an evaluation.

    Recomputed ones are of the first images of the epoch that was trained last, augmented as they were then: the same
    however a trial was killed and resumed.

    Args:
        config: the trial.
        model: the network, without DistributedDataParallel around it.
        images: the trial's images.
        placement: what `training_batches` has to know of device, layout and workers.

    Raises:
        TrialError: they are to be recomputed, and the model has none.
    """

    def __init__(self, config: TrialConfig, model: nn.Module, images: ImageSplits, placement: dict[str, Any]) -> None:
        self._config, self._model = config, model
        self._images, self._placement = images, placement
        asked = config.train.evaluation_statistics
        self._of_weights = asked if isinstance(asked, RecomputedConfig) else None
        self._of_average = self._of_weights or RecomputedConfig(name="recomputed")
        if self._of_weights is not None and not has_running_statistics(model):
            raise TrialError(
                "train.evaluation_statistics 'recomputed' needs layers with running statistics (buffers running_mean "
                f"and running_var of C values), but {config.model.name!r} with norm {config.model.norm.name!r} has none"
            )

    def of_weights(self, epoch: int) -> AbstractContextManager[None]:
        """For the weights as they are: as configured."""
        return nullcontext() if self._of_weights is None else self._recomputed(self._of_weights, epoch)

    def of_average(self, epoch: int) -> AbstractContextManager[None]:
        """For averaged weights, which no step of the training has ever run with: always recomputed."""
        return self._recomputed(self._of_average, epoch)

    def _recomputed(self, how: RecomputedConfig, epoch: int) -> AbstractContextManager[None]:
        if not has_running_statistics(self._model):
            return nullcontext()
        return recomputed_statistics(self._model, self._micro_batches(how, epoch), self._forward)

    def _forward(self, images: Tensor) -> None:
        with autocast(torch.device(self._placement["device"]), self._config.train.precision):
            self._model(images)

    def _micro_batches(self, how: RecomputedConfig, epoch: int) -> Iterator[Tensor]:
        """This worker's micro-batches; workers take them in turn."""
        streamed, train = self._config.data.streams, self._images.train
        together = how.micro_batch_size * self._placement["world"]
        batches = training_batches(
            train if streamed else on_device(train, self._placement["device"]),
            batch_size=min(together, len(train)),
            augment=self._config.data.augment,
            seed=self._config.seed,
            workers=self._config.data.workers if streamed else 0,
            classes=len(self._images.classes),
            **self._placement,
        )
        steps = max(1, min(how.images, len(train)) // together)
        for batch in itertools.islice(batches.epoch(epoch), steps):
            if batch.weight:  # A weight of 0 marks another worker's image, where there are fewer images than workers.
                yield batch.images
