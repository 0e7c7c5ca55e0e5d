"""The optimizer steps of an epoch: forward, loss, backward, clip, step, average, measure.

A `step` counts from 0 within its epoch, a `global_step` from 0 over the whole training.
"""

import itertools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from wsnet.config import TrialConfig
from wsnet.config.epoch_steps import EpochSteps
from wsnet.data import Batch, Batches, StackedBatches
from wsnet.distributed import exchange_gradients, is_data_parallel
from wsnet.layers import LayerRandomness, once_per_step
from wsnet.models.torchvision_net import with_auxiliary
from wsnet.training.checkpoint import RunningEpoch
from wsnet.training.diagnostics import Diagnostics
from wsnet.training.execution import autocast
from wsnet.training.loss import Loss, averaged_views, parts
from wsnet.training.meter import Meter, StackedMeter, TrainingMeter
from wsnet.training.micro_batches import MicroBatchPlan
from wsnet.training.optimizer import Optimizer
from wsnet.training.streams import Streams
from wsnet.training.weight_average import WeightAverage

__all__ = ["Steps"]

_Meter = TypeVar("_Meter", TrainingMeter, StackedMeter)


class Steps(Generic[_Meter]):
    """What the training of one trial and that of stacked replicates have in common: the steps of an epoch.

    A subclass sets the attributes.

    Attributes:
        config: the trial's configuration, or that of all replicates but for their seeds.
        device: where it is trained.
        batches: the training images.
        epoch_steps: how an epoch is divided into steps.
        micro_batches: how a batch is divided.
        loss: of a batch; with replicates, the losses of all of them.
        model: the network.
        parallel: the network, wrapped for several workers.
        forward: what is called with the images: `parallel`, compiled if configured.
        streams: online norm's state.
        randomness: of dropout and the like.
        optimizer: of the network's parameters.
        average: of the weights, if configured.
        diagnostics: measurements of the layers, if configured.
        running: the next epoch, some steps of which may be done.
    """

    config: TrialConfig
    device: torch.device
    batches: Batches | StackedBatches
    epoch_steps: EpochSteps
    micro_batches: MicroBatchPlan
    loss: Loss
    model: nn.Module
    parallel: nn.Module
    forward: Callable[[Tensor], Any]
    streams: Streams
    randomness: LayerRandomness
    optimizer: Optimizer
    average: WeightAverage | None
    diagnostics: Diagnostics | None
    running: RunningEpoch[_Meter]

    def train_steps(
        self, watch: Callable[[int, int, float, _Meter], None] | None, save: Callable[[], None] | None = None
    ) -> None:
        """Run the remaining steps of the epoch; stop soon after a loss that is not finite.

        Args:
            watch: called after each step, see `StepCallback`.
            save: called where a mid-epoch checkpoint is due.
        """
        running = self.running
        self.model.train()
        remaining = self.epoch_steps.count - running.step
        batches = itertools.islice(self.batches.epoch(running.epoch, running.step), remaining)
        waiting = time.perf_counter()
        for step, batch in enumerate(batches, running.step):
            waited = time.perf_counter() - waiting
            with self._measuring(step):
                self.train_step(self.global_step(running.epoch, step), batch, running.meter)
            running.step = step + 1
            if watch is not None:
                watch(running.epoch, step, waited, running.meter)
            if running.meter.has_diverged():
                break
            if save is not None and self._is_checkpoint_due(step + 1):
                save()
            waiting = time.perf_counter()

    def train_step(self, global_step: int, batch: Batch, meter: Meter | StackedMeter) -> None:
        """Run one optimizer step."""
        self.optimizer.set_learning_rate(global_step)
        self.optimizer.zero_grad()
        images = self.epoch_steps.images_in(global_step % self.epoch_steps.count)
        with self.streams.scaled(self.config.train.batch_size / images):
            loss, logits = self._forward_and_backward(global_step, batch)
        if self.diagnostics is not None:
            self.diagnostics.look_at_gradients()
        self.optimizer.clip_gradients()
        self.optimizer.step()
        if self.average is not None:
            self.average.update(global_step)
        if batch.weight:  # A weight of 0 marks a filler: this worker's share of a last, partial batch was empty.
            meter.add(loss, logits, batch.labels)

    def build_optimizer(self, replicates: int = 1) -> None:
        """Make the optimizer of the network, and the average of its weights if configured.

        Args:
            replicates: networks side by side in the model.
        """
        train = self.config.train
        self.optimizer = Optimizer(
            self.config.optim,
            self.model,
            batch_size=train.batch_size,
            steps_per_epoch=self.epoch_steps.count,
            epochs=train.epochs,
            replicates=replicates,
        )
        self.average = WeightAverage(self.model, train.ema) if train.ema else None

    def _forward_and_backward(self, global_step: int, batch: Batch) -> tuple[Tensor, Tensor]:
        """Accumulate the gradients of the batch's mean loss in the parameters, micro-batch by micro-batch.

        Returns:
            The mean loss () and the logits (B, classes) of this worker's share of the batch; the logits are averaged
            over the views of an image. With R replicates (R,), and (B, R classes).
        """
        images, views = len(batch.labels), self.loss.views
        size = min(self.micro_batches.size or images, images)
        pieces = [batch] if size == images else parts(batch, size, views=views)
        first = self.batches.first_image(global_step % self.epoch_steps.count)
        losses, outputs = [], []
        with self._share_filters() if len(pieces) > 1 else nullcontext():
            for number, piece in enumerate(pieces):
                self.randomness.set_step(global_step, (first + number * size) * views)
                loss_of = partial(self.loss, batch=piece, of=None if piece is batch else images)
                with exchange_gradients(self.parallel, now=piece is pieces[-1]):
                    with autocast(self.device, self.config.train.precision):
                        loss, logits = with_auxiliary(self.forward(piece.images), loss_of)
                    # The gradients of a sum of losses are those of each: replicates have no parameter in common.
                    ((loss if loss.dim() == 0 else loss.sum()) * batch.weight).backward()
                losses.append(loss.detach())
                outputs.append(logits.detach())
        return torch.stack(losses).sum(0), averaged_views(torch.cat(outputs), views)

    def _share_filters(self) -> AbstractContextManager[None]:
        """Compute reparametrized filters once for all micro-batches.

        Not under DDP: its hooks would read gradients before `once_per_step` has propagated them.
        """
        return nullcontext() if is_data_parallel(self.parallel) else once_per_step(self.model)

    def _measuring(self, step: int) -> AbstractContextManager[None]:
        """Measure the layers if this is the step for it: the last one of an epoch with a full batch."""
        if self.diagnostics is None or step != self.epoch_steps.whole_batches - 1:
            return nullcontext()
        return self.diagnostics.measuring()

    def _is_checkpoint_due(self, done: int) -> bool:
        """Whether a checkpoint is due after `done` steps of an epoch.

        Never after the step in which the layers are measured.
        """
        every = self.config.train.checkpoint_steps
        return every is not None and done % every == 0 and done < self.epoch_steps.whole_batches

    def global_step(self, epoch: int, step: int) -> int:
        """Number of a step over the whole training."""
        return (epoch - 1) * self.epoch_steps.count + step
