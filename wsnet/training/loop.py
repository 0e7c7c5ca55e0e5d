"""The training loop: epoch after epoch, step after step.

The steps themselves are in `wsnet.training.steps`; stacked replicates are trained by `wsnet.training.stacked`.
"""

from collections.abc import Callable

import torch

from wsnet.distributed import data_parallel, gather_objects, rank_and_world
from wsnet.layers import LayerRandomness, initialize_from_data
from wsnet.storage.trial_directory import Record
from wsnet.training.checkpoint import Checkpoint, RunningEpoch
from wsnet.training.compiling import compiled
from wsnet.training.diagnostics import Diagnostics
from wsnet.training.evaluation import Evaluation
from wsnet.training.loss import Loss
from wsnet.training.meter import Meter, TrainingMeter
from wsnet.training.micro_batches import check_batch_statistics, plan_micro_batches
from wsnet.training.steps import Steps
from wsnet.training.streams import Streams, average_buffers
from wsnet.training.trial import Trial

__all__ = ["StepCallback", "Training"]

StepCallback = Callable[[int, int, float, Meter], None]
"""Called after each step with (epoch, step, seconds waited for data, meter of the epoch so far).

Epochs count from 1, steps from 0 within the epoch. Reading the meter waits for the device: do it rarely."""


class Training(Steps[TrainingMeter]):
    """One trial in training: its data, its model, its optimizer, and its progress.

    Args:
        trial: what to train.
        start: checkpoint to start from; None: the seed's initial weights.

    Attributes:
        epoch: number of completed epochs.

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
        self.train_steps(watch, lambda: self._save_step(save))
        trained, seconds = running.meter.read(), running.seconds
        average_buffers(self.model)
        self.streams.merge()
        last = self.global_step(running.epoch, self.epoch_steps.count - 1)
        record: Record = {"epoch": running.epoch, "lr": self.optimizer.learning_rate(last)}
        record |= trained.named("train")
        layers = self.diagnostics.read() if self.diagnostics else {}
        for split, measured in self.evaluation.measure(running.epoch, self.average).items():
            record |= measured.named(split)
        record["time/epoch_seconds"] = running.seconds
        record["time/images_per_second"] = trained.samples / seconds
        self.epoch = running.epoch
        self.running = RunningEpoch(self.model, running.epoch + 1, TrainingMeter(self.device))
        return record | layers

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

    def _save_step(self, save: Callable[[Checkpoint], None] | None) -> None:
        """Make a mid-epoch checkpoint: every rank takes part; only the leader saves."""
        checkpoint = self.checkpoint([])
        if save is not None:
            save(checkpoint)

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
        self.build_optimizer()
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

    def _first_epoch(self, start: Checkpoint | None) -> RunningEpoch[TrainingMeter]:
        """The epoch to start with: a whole one, or the rest of an interrupted one."""
        running = RunningEpoch(self.model, self.epoch + 1, TrainingMeter(self.device))
        if start is not None and start.step:
            running.load_state_dict(start.workers[rank_and_world()[0]], step=start.step)
        elif start is not None:
            self.streams.load_state_dict(start.streams)
        return running
