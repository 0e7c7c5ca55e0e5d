"""Stacked replicates: the seeds of one setting trained side by side, as one network with the channels of all of them.

A step of a small network with a small batch takes the time of its calls of torch's operators, whatever they compute,
and a step of R stacked replicates has as many calls as a step of one. Each replicate has its own data order,
augmentation, random layers, weights, optimizer state and meter, and its records are those of the trial run alone, up to
rounding.

After each epoch the replicates are evaluated one by one, in a plain network: the batches of an evaluation are large, so
that operators have enough to compute. A replicate's checkpoint is that of its trial run alone: plain trials can be
stacked after any epoch, and a replicate can continue alone.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wsnet.config import TrialConfig
from wsnet.data import StackedBatches
from wsnet.layers import LayerRandomness, initialize_from_data
from wsnet.layers.stacking import stack, unstack
from wsnet.models import build, not_stackable
from wsnet.storage.trial_directory import Record
from wsnet.training.checkpoint import Checkpoint, RunningEpoch
from wsnet.training.compiling import compiled
from wsnet.training.evaluation import Evaluation
from wsnet.training.loss import Loss
from wsnet.training.meter import Measured, StackedMeter
from wsnet.training.micro_batches import check_batch_statistics, plan_micro_batches
from wsnet.training.steps import Steps
from wsnet.training.streams import Streams
from wsnet.training.trial import Trial
from wsnet.training.weight_average import WeightAverage

__all__ = ["Replicate", "StackedTraining", "why_not_stacked"]


def why_not_stacked(config: TrialConfig, *, workers: int = 1) -> str | None:
    """Why the seeds of a setting cannot be trained side by side; None if they can.

    Args:
        config: one of them; the seed does not matter.
        workers: processes that train each of them together.
    """
    if workers > 1:
        return f"each trial has {workers} workers; stacked replicates are trained by one"
    if config.train.diagnostics:
        return "train.diagnostics measures the layers of one network"
    if config.train.checkpoint_steps is not None:
        return "train.checkpoint_steps saves a trial within an epoch, and stacked replicates are saved between epochs"
    return not_stackable(config.model)


class StackedTraining(Steps[StackedMeter]):
    """Several seeds of one setting in training. Replicates are numbered in the order of `trials`.

    Args:
        trials: one for each seed; equal but for the seed.
        starts: a checkpoint of each, after the same epoch, as a plain training or another stack saved it; None: each
            starts from the initial weights of its seed.

    Attributes:
        trials: those of the stack.
        epoch: number of completed epochs.

    Raises:
        ModelError: the model cannot be built.
        TrialError: a batch is too small for the model, or a checkpoint is of another model or optimizer.
        ValueError: the trials differ in more than their seeds, cannot be stacked, or start from different epochs.
    """

    def __init__(self, trials: Sequence[Trial], starts: Sequence[Checkpoint] | None = None) -> None:
        _check(trials, starts)
        self.config = trials[0].config
        self.device = torch.device(self.config.execution.device)
        self.diagnostics = None
        self.trials = list(trials)
        self._build_batches()
        self._build_model(starts)
        self._build_optimizer(starts)
        self._evaluations = [Evaluation(trial, self._alone) for trial in self.trials]
        self.epoch = starts[0].epoch if starts else 0
        self._start_epoch()

    def train_epoch(
        self,
        watch: Callable[[int, int, float, StackedMeter], None] | None = None,
        *,
        only: Collection[int] | None = None,
    ) -> dict[int, Record]:
        """Train one more epoch and evaluate; returns the record of each replicate by its number.

        A replicate whose loss is not finite has the record of a diverged trial, and does not affect the others; its
        place is computed as before.

        In a record, the duration of the epoch is a replicate's share of that of the stack, and the images per second
        are those of the whole stack: the epochs' durations of all trials add up to the time that they took.

        Args:
            watch: called after each step with (epoch, step, seconds waited for data, meter of the epoch so far).
            only: numbers of the replicates to evaluate and to return; by default all.
        """
        running = self.running
        running.start_clock()
        self.train_steps(watch)
        trained, seconds = running.meter.read(), running.seconds
        numbers = range(len(trained)) if only is None else sorted(only)
        records = {number: self._record(number, trained[number]) for number in numbers}
        times = {
            "time/epoch_seconds": running.seconds / len(records),
            "time/images_per_second": sum(trained[number].samples for number in numbers) / seconds,
        }
        for record in records.values():
            record |= times
        self.epoch = running.epoch
        self._start_epoch()
        return records

    def checkpoint(self, replicate: int, records: list[Record]) -> Checkpoint:
        """The state of one replicate after a whole epoch: a checkpoint of its trial run alone."""
        optimizer = {number: self._own(state, replicate) for number, state in self.optimizer.state_dict().items()}
        return Checkpoint(
            trial_id=self.trials[replicate].trial_id,
            epoch=self.epoch,
            model=_copied(self._own(self.model.state_dict(), replicate)),
            optimizer={number: _copied(state) for number, state in optimizer.items()},
            records=records,
            ema=_copied(self._own(self.average.state_dict(), replicate)) if self.average else {},
        )

    def _record(self, replicate: int, trained: Measured) -> Record:
        epoch = self.running.epoch
        last = self.global_step(epoch, self.epoch_steps.count - 1)
        record: Record = {"epoch": epoch, "lr": self.optimizer.learning_rate(last)} | trained.named("train")
        self._alone.load_state_dict(self._own(self.model.state_dict(), replicate))
        average = None
        if self.average is not None:
            assert self.config.train.ema is not None
            average = WeightAverage(self._alone, self.config.train.ema)
            average.load_state_dict(self._own(self.average.state_dict(), replicate))
        for split, measured in self._evaluations[replicate].measure(epoch, average).items():
            record |= measured.named(split)
        return record

    def _own(self, state: dict[str, Tensor], replicate: int) -> dict[str, Tensor]:
        return unstack(state, replicate, len(self.trials))

    def _start_epoch(self) -> None:
        self.running = RunningEpoch(self.model, self.epoch + 1, StackedMeter(self.device, len(self.trials)))

    def _build_batches(self) -> None:
        """The training images batch by batch, and how each batch is computed."""
        train, data = self.config.train, self.config.data
        self.micro_batches = plan_micro_batches(self.config)
        check_batch_statistics(self.config, classes=len(self.trials[0].images.classes))
        self._batches = [
            trial.training_batches(
                batch_size=train.batch_size, drop_last=train.drop_last, loader_processes=data.workers
            )
            for trial in self.trials
        ]
        self.batches = StackedBatches(self._batches, self.trials[0].placement["memory_format"])
        self.epoch_steps = self.trials[0].epoch_steps
        self.loss = Loss.of(self.config)

    def _build_model(self, starts: Sequence[Checkpoint] | None) -> None:
        """The stacked network, and a network of the plain kind for evaluation (`_alone`)."""
        placement, trial = self.trials[0].placement, self.trials[0]

        def placed(model: nn.Module) -> nn.Module:
            return model.to(self.device).to(memory_format=placement["memory_format"])

        self._alone = placed(trial.initial_model(self.micro_batches.norm))
        states = []
        for number, each in enumerate(self.trials):
            if starts is not None:
                starts[number].restore_model(self._alone)
            else:
                self._alone.load_state_dict(each.initial_model(self.micro_batches.norm).state_dict())
                if self.config.model.weight_init == "data_dependent":
                    initialize_from_data(self._alone, next(self._batches[number].epoch(1)).images)
            states.append(_copied(self._alone.state_dict()))
        network = self.config.model.model_copy(update={"norm": self.micro_batches.norm})
        classes, shape = len(trial.images.classes), self.config.data.facts.shape
        self.model = placed(build(network, classes=classes, shape=shape, replicates=len(states)))
        self.model.load_state_dict(stack(states))
        self.streams = Streams(self.model)
        self.randomness = LayerRandomness(self.model, [each.config.seed for each in self.trials])
        self.parallel = self.model
        self.forward = compiled(self.model) if self.config.execution.compile is True else self.model

    def _build_optimizer(self, starts: Sequence[Checkpoint] | None) -> None:
        """The optimizer, and the average of the weights if configured."""
        self.build_optimizer(len(self.trials))
        if starts is None:
            return
        states = [start.optimizer for start in starts]
        joined = {number: stack([state[number] for state in states]) for number in states[0]}
        first = Checkpoint(**{**starts[0].__dict__, "optimizer": joined})
        first.restore_optimizer(self.optimizer)
        if self.average is not None and starts[0].ema:
            self.average.load_state_dict(stack([start.ema for start in starts]))


class Replicate:
    """One replicate of a stack, as a `TrialWriter` sees a training.

    Args:
        training: the stack in training.
        number: which of its replicates.
    """

    def __init__(self, training: StackedTraining, number: int) -> None:
        self._training, self._number = training, number

    @property
    def config(self) -> TrialConfig:
        """Its configuration."""
        return self._training.trials[self._number].config

    @property
    def epoch(self) -> int:
        """Number of completed epochs."""
        return self._training.epoch

    def checkpoint(self, records: list[Record]) -> Checkpoint:
        """See `StackedTraining.checkpoint`."""
        return self._training.checkpoint(self._number, records)


def _check(trials: Sequence[Trial], starts: Sequence[Checkpoint] | None) -> None:
    configs = [trial.config.model_copy(update={"seed": 0}) for trial in trials]
    if any(config != configs[0] for config in configs):
        raise ValueError("stacked trials must differ in their seeds only, but their configurations differ otherwise")
    if reason := why_not_stacked(configs[0], workers=trials[0].workers):
        raise ValueError(f"these trials cannot be stacked: {reason}")
    if starts is not None and len({(start.epoch, start.step) for start in starts} | {(starts[0].epoch, 0)}) > 1:
        epochs = [f"{start.epoch}" + (f" and {start.step} steps" if start.step else "") for start in starts]
        raise ValueError(f"stacked trials must start after the same whole epoch, but got {', '.join(epochs)}")


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value.clone() for name, value in state.items()}
