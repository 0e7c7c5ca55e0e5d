"""Evaluation: loss and errors on the validation and test split, and the statistics that norms are evaluated with."""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wsnet.config.trial import RecomputedConfig
from wsnet.data import Batch, evaluation_batches, on_device
from wsnet.distributed import world_size
from wsnet.layers import has_running_statistics, recomputed_statistics
from wsnet.training.execution import TrialError, autocast
from wsnet.training.meter import Measured, Meter
from wsnet.training.trial import Trial
from wsnet.training.weight_average import WeightAverage

__all__ = ["Evaluation", "evaluate"]

_BATCH_SIZE = 512
"""Images per forward pass of an evaluation: enough to fill a CPU or GPU, the same for every trial."""


class Evaluation:
    """The evaluation of a model in training.

    Recomputed statistics (`train.evaluation_statistics`) are those of the first images of the epoch trained last, with
    the same augmentation, so that killing and resuming a trial does not change them.

    Args:
        trial: the trial.
        model: its network, without DistributedDataParallel around it.

    Raises:
        TrialError: statistics are to be recomputed, but the model has none.
    """

    def __init__(self, trial: Trial, model: nn.Module) -> None:
        self._trial, self._config, self._model = trial, trial.config, model
        self._device = torch.device(trial.config.execution.device)
        splits = (("validation", trial.images.validation), ("test", trial.images.test))
        self._splits = {name: on_device(split, self._device) for name, split in splits if split is not None}
        asked = trial.config.train.evaluation_statistics
        self._recomputed = asked if isinstance(asked, RecomputedConfig) else None
        self._has_statistics = has_running_statistics(model)
        if self._recomputed is not None and not self._has_statistics:
            name, norm = self._config.model.name, self._config.model.norm.name
            raise TrialError(
                "train.evaluation_statistics 'recomputed' needs layers with running statistics (buffers running_mean "
                f"and running_var of C values), but {name!r} with norm {norm!r} has none"
            )

    def measure(self, epoch: int, average: WeightAverage | None = None) -> dict[str, Measured]:
        """Loss and errors by split: `validation` (if there is one) and `test`; with suffix `_ema`, of the average.

        Args:
            epoch: the epoch trained last.
            average: average of the model's weights. No training step has run with it, so its statistics are always
                recomputed.
        """
        with self._statistics(self._recomputed, epoch):
            found = {split: self._evaluate(split) for split in self._splits}
        if average is not None:
            with average.in_model(), self._statistics(self._recomputed or RecomputedConfig(name="recomputed"), epoch):
                found |= {f"{split}_ema": self._evaluate(split) for split in self._splits}
        return found

    def _evaluate(self, split: str) -> Measured:
        images, processes = self._splits[split], self._config.data.workers
        batches = evaluation_batches(
            images, batch_size=_BATCH_SIZE, loader_processes=processes, **self._trial.placement
        )
        return evaluate(self._model, batches, device=self._device, precision=self._config.train.precision)

    def _statistics(self, how: RecomputedConfig | None, epoch: int) -> AbstractContextManager[None]:
        """Temporarily give the model recomputed statistics; None: it keeps those of the training."""
        if how is None or not self._has_statistics:
            return nullcontext()
        return recomputed_statistics(self._model, self._micro_batches(how, epoch), self._forward)

    def _forward(self, images: Tensor) -> None:
        with autocast(self._device, self._config.train.precision):
            self._model(images)

    def _micro_batches(self, how: RecomputedConfig, epoch: int) -> Iterator[Tensor]:
        """This worker's micro-batches of an epoch's first images; workers take them in turn."""
        data, images = self._config.data, len(self._trial.images.train)
        together = how.micro_batch_size * world_size()
        batches = self._trial.training_batches(
            batch_size=min(together, images), loader_processes=data.workers if data.streams else 0
        )
        steps = max(1, min(how.images, images) // together)
        for batch in itertools.islice(batches.epoch(epoch), steps):
            if batch.weight:  # A weight of 0 marks another worker's image, if there are fewer images than workers.
                yield batch.images


def evaluate(
    model: nn.Module, batches: Iterable[Batch], *, device: torch.device, precision: str = "float32"
) -> Measured:
    """Measure a model on batches, in eval mode and without gradients.

    Args:
        model: maps (B, C, H, W) to logits (B, classes); its mode is restored.
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
