"""The training loop: epoch after epoch, step after step.

`Training.train_step` is one optimizer step from start to end: forward, loss, backward, clip, step, average, measure.
A `step` counts from 0 within its epoch, a `global_step` from 0 over the whole training.
"""

import itertools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor

from wsnet.data import Batch
from wsnet.distributed import data_parallel, exchange_gradients, gather_objects, is_data_parallel, rank_and_world
from wsnet.layers import LayerRandomness, initialize_from_data, once_per_step
from wsnet.models.torchvision_net import with_auxiliary
from wsnet.storage.trial_directory import Record
from wsnet.training.checkpoint import Checkpoint, RunningEpoch
from wsnet.training.compiling import compiled
from wsnet.training.diagnostics import Diagnostics
from wsnet.training.evaluation import Evaluation
from wsnet.training.execution import autocast
from wsnet.training.loss import Loss, averaged_views, parts
from wsnet.training.meter import Meter
from wsnet.training.micro_batches import check_batch_statistics, plan_micro_batches
from wsnet.training.optimizer import Optimizer
from wsnet.training.streams import Streams, average_buffers
from wsnet.training.trial import Trial
from wsnet.training.weight_average import WeightAverage

__all__ = ["StepCallback", "Training"]

StepCallback = Callable[[int, int, float, Meter], None]
"""Called after each step with (epoch, step, seconds waited for data, meter of the epoch so far).

Epochs count from 1, steps from 0 within the epoch. Reading the meter waits for the device: do it rarely."""


class Training:
    """One trial in training: its data, its model, its optimizer, and its progress.

    Args:
        trial: what to train.
        start: checkpoint to start from; None: the seed's initial weights.

    Attributes:
        epoch: number of completed epochs.
        epoch_steps: how an epoch is divided into steps.
        running: the next epoch, some steps of which may be done.

    Raises:
        ModelError: the model cannot be built.
        TrialError: a batch is too small for the model, or the checkpoint is of another model or optimizer.
    """

    def __init__(self, trial: Trial, start: Checkpoint | None = None) -> None:
        self.trial, self.config = trial, trial.config
        self.device = torch.device(self.config.execution.device)
        self._build_batches()
        self._build_model(start)
        self._build_optimizer(start)
        self._build_measurements()
        self.epoch = start.epoch if start else 0
        self.running = self._first_epoch(start)

    def train_epoch(
        self, watch: StepCallback | None = None, save: Callable[[Checkpoint], None] | None = None
    ) -> Record:
        """Train one more epoch, or the rest of one, and evaluate; returns its record.

        Args:
            watch: called after each step.
            save: called with each mid-epoch checkpoint (`train.checkpoint_steps`), without records.
        """
        running = self.running
        running.start_clock()
        self.streams.separate()
        self._train_steps(watch, save)
        trained, seconds = running.meter.read(), running.seconds
        average_buffers(self.model)
        self.streams.merge()
        last = self._global_step(running.epoch, self.epoch_steps.count - 1)
        record: Record = {"epoch": running.epoch, "lr": self.optimizer.learning_rate(last)}
        record |= trained.named("train")
        layers = self.diagnostics.read() if self.diagnostics else {}
        for split, measured in self.evaluation.measure(running.epoch, self.average).items():
            record |= measured.named(split)
        record["time/epoch_seconds"] = running.seconds
        record["time/images_per_second"] = trained.samples / seconds
        self.epoch, self.running = running.epoch, RunningEpoch(self.model, running.epoch + 1)
        return record | layers

    def _train_steps(self, watch: StepCallback | None, save: Callable[[Checkpoint], None] | None) -> None:
        """Run the remaining steps of the epoch; stop soon after a loss that is not finite."""
        running = self.running
        self.model.train()
        remaining = self.epoch_steps.count - running.step
        batches = itertools.islice(self.batches.epoch(running.epoch, running.step), remaining)
        waiting = time.perf_counter()
        for step, batch in enumerate(batches, running.step):
            waited = time.perf_counter() - waiting
            with self._measuring(step):
                self.train_step(self._global_step(running.epoch, step), batch, running.meter)
            running.step = step + 1
            if watch is not None:
                watch(running.epoch, step, waited, running.meter)
            if running.meter.has_diverged():
                break
            if self._is_checkpoint_due(step + 1):
                checkpoint = self.checkpoint([])  # Every rank takes part; only the leader saves.
                if save is not None:
                    save(checkpoint)
            waiting = time.perf_counter()

    def train_step(self, global_step: int, batch: Batch, meter: Meter) -> None:
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

    def _forward_and_backward(self, global_step: int, batch: Batch) -> tuple[Tensor, Tensor]:
        """Accumulate the gradients of the batch's mean loss in the parameters, micro-batch by micro-batch.

        Returns:
            The mean loss () and the logits (B, classes) of this worker's share of the batch; the logits are averaged
            over the views of an image.
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
                    (loss * batch.weight).backward()
                losses.append(loss.detach())
                outputs.append(logits.detach())
        return torch.stack(losses).sum(), averaged_views(torch.cat(outputs), views)

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

    def _global_step(self, epoch: int, step: int) -> int:
        return (epoch - 1) * self.epoch_steps.count + step

    def checkpoint(self, records: list[Record]) -> Checkpoint:
        """The state to resume from exactly here. In the middle of an epoch every worker must call it."""
        return Checkpoint(
            trial_id=self.trial.trial_id,
            epoch=self.epoch,
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            records=records,
            streams=self.streams.state_dict(),
            ema=self.average.state_dict() if self.average else {},
            step=self.running.step,
            workers=gather_objects(self.running.state_dict()) if self.running.step else [],
        )

    def _build_batches(self) -> None:
        """The training images batch by batch, and how each batch is computed."""
        train, (_, workers) = self.config.train, rank_and_world()
        self.micro_batches = plan_micro_batches(self.config, workers=workers)
        check_batch_statistics(self.config, classes=len(self.trial.images.classes), workers=workers)
        self.batches = self.trial.training_batches(
            batch_size=train.batch_size, drop_last=train.drop_last, loader_processes=self.config.data.workers
        )
        self.epoch_steps = self.trial.epoch_steps
        self.loss = Loss.of(self.config)

    def _build_model(self, start: Checkpoint | None) -> None:
        """The network with its weights (`model`), wrapped for several workers (`parallel`), as called (`forward`)."""
        model = self.trial.initial_model(self.micro_batches.norm)
        self.model = model.to(self.device).to(memory_format=self.trial.placement["memory_format"])
        if start is not None:
            start.restore_model(self.model)
        elif self.config.model.weight_init == "data_dependent":
            initialize_from_data(self.model, next(self.batches.epoch(1)).images)
        self.streams = Streams(self.model)
        self.randomness = LayerRandomness(self.model, self.config.seed)
        self.parallel = data_parallel(self.model, self.device)
        self.forward = compiled(self.parallel) if self.config.execution.compile is True else self.parallel

    def _build_optimizer(self, start: Checkpoint | None) -> None:
        """The optimizer, and the average of the weights if configured."""
        train = self.config.train
        self.optimizer = Optimizer(
            self.config.optim,
            self.model,
            batch_size=train.batch_size,
            steps_per_epoch=self.epoch_steps.count,
            epochs=train.epochs,
        )
        self.average = WeightAverage(self.model, train.ema) if train.ema else None
        if start is not None:
            start.restore_optimizer(self.optimizer)
            if self.average is not None and start.ema:
                self.average.load_state_dict(start.ema)

    def _build_measurements(self) -> None:
        """What is measured besides the loss: errors after each epoch, and the layers in one of its steps."""
        self.evaluation = Evaluation(self.trial, self.model)
        self.diagnostics: Diagnostics | None = None
        if self.config.train.diagnostics:
            is_compiled = self.config.execution.compile is True
            self.diagnostics = Diagnostics(self.model, self.optimizer.base, compiled=is_compiled)
            self.forward = self.diagnostics.around(self.forward)

    def _first_epoch(self, start: Checkpoint | None) -> RunningEpoch:
        """The epoch to start with: a whole one, or the rest of an interrupted one."""
        running = RunningEpoch(self.model, self.epoch + 1)
        if start is not None and start.step:
            running.load_state_dict(start.workers[rank_and_world()[0]], step=start.step)
        elif start is not None:
            self.streams.load_state_dict(start.streams)
        return running
