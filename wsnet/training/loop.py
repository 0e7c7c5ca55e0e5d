"""The training loop: steps, epochs, evaluation."""

import contextlib
import itertools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from wsnet.config.scaling import scaled_optim
from wsnet.data import Batch, evaluation_batches, on_device, training_batches
from wsnet.distributed import rank_and_world
from wsnet.layers import LayerRandomness, initialize, initialize_from_data
from wsnet.models import build, load_pretrained
from wsnet.storage.trial_directory import Record
from wsnet.training.batch_statistics import check_batch_statistics
from wsnet.training.checkpoint import Checkpoint, of_all_workers, own_state, restore_own_state
from wsnet.training.diagnostics import Diagnostics
from wsnet.training.evaluation import EvaluationStatistics, autocast, evaluate
from wsnet.training.loss import Loss
from wsnet.training.meter import Measured, Meter, TrainingMeter
from wsnet.training.micro_batches import backward, plan_micro_batches
from wsnet.training.optimizer import build_optimizer, clip_gradients, optimizer_state
from wsnet.training.schedule import learning_rate
from wsnet.training.streams import Streams, average_buffers
from wsnet.training.trial import Trial
from wsnet.training.weight_average import WeightAverage

__all__ = ["Training", "Watch"]

Watch = Callable[[int, int, float, Meter], None]
"""Called after each step with (epoch, step, seconds waited for data, what was measured so far in the epoch).

Reading the meter waits for the device: do it seldom."""

_EVALUATED_AT_ONCE = 512
"""Images in one forward pass of an evaluation: enough to fill a CPU or GPU, the same for every batch size."""


class Training:
    """One trial in training: its model, its optimizer, and how far it is.

    Args:
        trial: what to train.
        start: where to begin; None begins at the seed's initial weights.

    Raises:
        ModelError: the model can not be built.
        TrialError: a batch is too small for the model, or the checkpoint is of another model or optimizer.
    """

    def __init__(self, trial: Trial, start: Checkpoint | None = None) -> None:
        self.trial, self.config, self.images = trial, trial.config, trial.images
        self.device = torch.device(self.config.execution.device)
        self.rank, self.world = rank_and_world()
        self.micro_batches = plan_micro_batches(self.config, workers=self.world)
        is_channels_last = self.config.execution.memory_format == "channels_last"
        self.layout = torch.channels_last if is_channels_last else torch.contiguous_format
        self.model = self._built().to(self.device).to(memory_format=self.layout)
        self.loss = Loss.of(self.config)
        self.optim = scaled_optim(self.config.optim, self.config.train.batch_size)
        self.optimizer = build_optimizer(self.optim, self.model)
        if start is not None:
            start.restore(self.model, self.optimizer)
        self.epoch = start.epoch if start else 0
        self.step = start.step if start else 0
        self.own = start.workers[self.rank] if start and start.step else None
        if self.own is not None:
            restore_own_state(self.model, self.own)
        self.streams = Streams(self.model, start.streams if start and not start.step else [])
        self.splits = {
            name: on_device(images, self.device)
            for name, images in (("validation", self.images.validation), ("test", self.images.test))
            if images is not None
        }
        self.batches = training_batches(
            self.images.train,
            batch_size=self.config.train.batch_size,
            drop_last=self.config.train.drop_last,
            augment=self.config.data.augment,
            seed=self.config.seed,
            workers=self.config.data.workers,
            classes=len(self.images.classes),
            **self._placement(),
        )
        self.steps = min(self.batches.steps, self.config.train.steps_per_epoch or self.batches.steps)
        check_batch_statistics(self.config, classes=len(self.images.classes), workers=self.world)
        if start is None and self.config.model.weight_init == "data_dependent":
            initialize_from_data(self.model, next(self.batches.epoch(1)).images)
        ema = self.config.train.ema
        self.average = WeightAverage(self.model, ema, start.ema if start else {}) if ema else None
        self.statistics = EvaluationStatistics(self.config, self.model, self.images, self._placement())
        self.wrapped = self._wrapped()
        self.randomness = LayerRandomness(self.model, self.config.seed)
        self.forward = self._forward()
        self.diagnostics: Diagnostics | None = None
        if self.config.train.diagnostics:
            self.diagnostics = Diagnostics(self.model, self.optimizer, compiled=self.config.execution.compile)
            self.forward = self.diagnostics.around(self.forward)

    def train_epoch(self, watch: Watch | None = None, save: Callable[[Checkpoint], None] | None = None) -> Record:
        """Train one more epoch, or the rest of one, and evaluate; returns its record.

        Args:
            watch: told of each step.
            save: given the checkpoints in mid-epoch that `train.checkpoint_steps` asks for, without records.
        """
        self.epoch += 1
        began = time.perf_counter() - (self.own["seconds"] if self.own else 0.0)
        record: Record = {"epoch": self.epoch, "lr": self.learning_rate(self.epoch * self.steps - 1)}
        self.streams.part()
        trained = self._train(watch, save, began)
        seconds = time.perf_counter() - began
        average_buffers(self.model)
        self.streams.merge()
        record |= trained.named("train")
        layers = self.diagnostics.read() if self.diagnostics else {}
        for split, measured in self.evaluate().items():
            record |= measured.named(split)
        record["time/epoch_seconds"] = time.perf_counter() - began
        record["time/images_per_second"] = trained.samples / seconds
        return record | layers

    def train_step(self, step: int, batch: Batch, meter: Meter) -> None:
        """One optimizer step, number `step` of the whole training from 0."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        first = self.batches.first_image(step % self.steps) * self.loss.views
        self.optimizer.zero_grad(set_to_none=True)
        with self.streams.scaled(self.config.train.batch_size / self.batches.images(step % self.steps)):
            loss, logits = backward(
                self.forward,
                batch,
                self.micro_batches.size,
                model=self.wrapped,
                autocast=self._autocast,
                loss=self.loss,
                begin=lambda position: self.randomness.set_step(step, first + position),
            )
        if self.diagnostics is not None:
            self.diagnostics.look_at_gradients()
        clip_gradients(self.optim, self.model)
        self.optimizer.step()
        if self.average is not None:
            self.average.update(step)
        if batch.weight:  # A weight of 0 marks a filler: this worker's share of a last, partial batch was empty.
            meter.add(loss, logits, batch.labels)

    def evaluate(self) -> dict[str, Measured]:
        """Loss and errors on `validation` (where there is one) and `test`, and on both with `_ema` of the average."""
        with self.statistics.of_weights(self.epoch):
            found = {split: self._evaluate(split) for split in self.splits}
        if self.average is not None:
            with self.average.in_model(), self.statistics.of_average(self.epoch):
                found |= {f"{split}_ema": self._evaluate(split) for split in self.splits}
        return found

    def _evaluate(self, split: str) -> Measured:
        workers = self.config.data.workers
        options = {"batch_size": _EVALUATED_AT_ONCE, "workers": workers, **self._placement()}
        batches = evaluation_batches(self.splits[split], **options)
        return evaluate(self.model, batches, device=self.device, precision=self.config.train.precision)

    def checkpoint(self, records: list[Record]) -> Checkpoint:
        """The state after the epochs done, to go on from exactly here."""
        return Checkpoint(
            trial_id=self.trial.trial_id,
            epoch=self.epoch,
            model=self.model.state_dict(),
            optimizer=optimizer_state(self.optimizer, self.model),
            records=records,
            streams=self.streams.states,
            ema=self.average.state if self.average else {},
        )

    def learning_rate(self, step: int) -> float:
        """Learning rate of one step."""
        optim, epochs = self.optim, self.config.train.epochs
        return learning_rate(optim.schedule, optim.lr, step=step, steps_per_epoch=self.steps, epochs=epochs)

    def _train(self, watch: Watch | None, save: Callable[[Checkpoint], None] | None, began: float) -> Measured:
        """One pass over the training images, or its rest; cut short soon after a loss that is not finite."""
        meter = TrainingMeter(self.device)
        if self.own is not None:
            meter.restore(self.own["meter"])
        begin, self.step, self.own = self.step, 0, None
        self.model.train()
        first = (self.epoch - 1) * self.steps
        waiting = time.perf_counter()
        batches = itertools.islice(self.batches.epoch(self.epoch, begin), self.steps - begin)
        for step, batch in enumerate(batches, begin):
            waited = time.perf_counter() - waiting
            with self._measuring(step):
                self.train_step(first + step, batch, meter)
            if watch is not None:
                watch(self.epoch, step, waited, meter)
            if meter.has_diverged():
                break
            if self._is_saved(step + 1):
                own = own_state(self.model, meter.state(), time.perf_counter() - began)
                checkpoint = replace(
                    self.checkpoint([]), epoch=self.epoch - 1, step=step + 1, workers=of_all_workers(own)
                )
                if save is not None:
                    save(checkpoint)
            waiting = time.perf_counter()
        return meter.read()

    def _autocast(self) -> AbstractContextManager[object]:
        return autocast(self.device, self.config.train.precision)

    def _measuring(self, step: int) -> AbstractContextManager[None]:
        """Measures the layers where they are to be: in the last step of an epoch with a whole batch."""
        if self.diagnostics is None or step != self._whole_steps - 1:
            return contextlib.nullcontext()
        return self.diagnostics.measuring()

    def _is_saved(self, done: int) -> bool:
        """Whether a checkpoint is due after so many steps of an epoch: none once its layers are measured."""
        every = self.config.train.checkpoint_steps
        return every is not None and done % every == 0 and done < self._whole_steps

    @property
    def _whole_steps(self) -> int:
        """Steps of an epoch that have a whole batch; at least 1."""
        return max(1, min(self.steps, len(self.images.train) // self.config.train.batch_size))

    def _built(self) -> nn.Module:
        classes, shape = len(self.images.classes), self.config.data.facts.shape
        network = self.config.model.model_copy(update={"norm": self.micro_batches.norm})
        model = build(network, classes=classes, shape=shape)
        initialize(model, self.config.seed)
        load_pretrained(model, self.config.model, classes=classes)
        return model

    def _forward(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """The model as the steps call it: compiled where that is asked for."""
        return torch.compile(self.wrapped) if self.config.execution.compile else self.wrapped

    def _wrapped(self) -> nn.Module:
        """The model in step with other workers, where there are some."""
        if self.world == 1:
            return self.model
        # Running statistics are averaged once an epoch (average_buffers), not copied from rank 0 at every step.
        on_gpu = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(self.model, device_ids=on_gpu, broadcast_buffers=False)

    def _placement(self) -> dict[str, Any]:
        return {
            "mean": self.images.mean,
            "std": self.images.std,
            "device": self.device,
            "memory_format": self.layout,
            "rank": self.rank,
            "world": self.world,
        }
