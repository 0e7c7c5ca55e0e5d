"""One trial: everything that decides its numbers, and how it is executed."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from wsnet.config.architectures import ModelConfig
from wsnet.config.base import Config, Fraction, NonNegativeInt, Positive, PositiveInt, conflict
from wsnet.config.data import DataConfig
from wsnet.config.epoch_steps import EpochSteps
from wsnet.config.optim import OptimConfig

__all__ = [
    "EMAConfig",
    "EvaluationStatisticsConfig",
    "ExecutionConfig",
    "RecomputedConfig",
    "RunningConfig",
    "StopAboveConfig",
    "TrainConfig",
    "TrialConfig",
    "describe_statistics",
]


class RunningConfig(Config):
    """The running statistics from training: moving averages over its last steps, as in torch."""

    name: Literal["running"]


class RecomputedConfig(Config):
    """Statistics recomputed under the evaluated weights before each evaluation, over the first images of the epoch, as
    augmented ("precise batch norm", Wu & Johnson 2021, section 3)."""

    name: Literal["recomputed"]
    images: PositiveInt = 10_000
    """Training images that they are computed over, in whole micro-batches; all images if there are fewer."""
    micro_batch_size: PositiveInt = 128
    """Images normalized together while recomputing, independently of training's micro-batches."""


EvaluationStatisticsConfig = Annotated[RunningConfig | RecomputedConfig, Field(discriminator="name")]


class EMAConfig(Config):
    """An exponential moving average of the weights, evaluated alongside them (Kingma & Ba 2015, section 7.2)."""

    decay: Fraction
    """Decay of the average in each optimizer step."""
    warmup: bool = False
    """Begin with a faster decay, min(decay, (1 + t) / (10 + t)) in step t, to forget the initial weights."""


class StopAboveConfig(Config):
    """A bound on the training loss: a trial above it counts as diverged."""

    loss: Positive
    """Largest mean training loss of an epoch, in nats."""
    after: PositiveInt = 1
    """First epoch that the bound applies to."""


class TrainConfig(Config):
    """The training loop."""

    epochs: PositiveInt
    """Passes over the training set."""
    batch_size: PositiveInt
    """Images per optimizer step, over all workers together."""
    micro_batch_size: PositiveInt | None = None
    """Images that batch statistics are computed over; must divide the batch (unset: a worker's whole share of it). The
    results are those of gradient accumulation: forward and backward of each micro-batch in turn, then one step."""
    drop_last: bool = False
    """Drop an epoch's last batch if it is smaller than the others. Otherwise even a few images make a full step."""
    steps_per_epoch: PositiveInt | None = None
    """End every epoch after this many steps; for a quick look, not for results."""
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    """Arithmetic of the forward and backward pass: IEEE float32, TensorFloat-32 products on GPUs that have them, or
    automatic mixed precision in bfloat16. Never chosen automatically."""
    ema: EMAConfig | None = None
    """Average the weights as well, and evaluate the average as validation_ema and test_ema, with recomputed statistics
    (see evaluation_statistics; unset: no average)."""
    evaluation_statistics: EvaluationStatisticsConfig = RunningConfig(name="running")
    """Statistics used to evaluate norms that keep running statistics."""
    stop_above: StopAboveConfig | None = None
    """End a trial whose training loss stays high (unset: only one whose loss is not finite)."""
    label_smoothing: Fraction = 0.0
    """Share of each training label that is spread evenly over all classes (Szegedy et al. 2016); not in evaluation."""
    keep: Literal["last", "best", "all", "none"] = "last"
    """Checkpoints left when a trial ends: the last; the last and the best on validation; every epoch's; none."""
    checkpoint_steps: PositiveInt | None = None
    """Also save `step.pt` every this many steps, to resume within an epoch; for epochs that take hours."""
    tensorboard: bool = False
    """Write TensorBoard scalars into the trial's directory as well."""
    diagnostics: bool = False
    """Record measurements of every layer in one step of each epoch (activations, running statistics, gradients,
    effective learning rate), for `analyze.py --layers`. A finished trial is not trained again for them."""


class ExecutionConfig(Config):
    """How a trial is computed. Affects only speed and rounding, so it is not part of a trial's identity."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    """`auto` (a GPU where the trial has one), `cpu`, `cuda` or `cuda:N`."""
    threads: PositiveInt | Literal["auto"] = "auto"
    """CPU threads; `auto` is the CPUs that the trial was given."""
    memory_format: Literal["auto", "channels_last", "contiguous"] = "auto"
    """Layout of activations and weights; `auto` is channels_last."""
    deterministic: bool | Literal["auto"] = "auto"
    """Bit-reproducible GPU kernels: `auto` uses them wherever torch has them, `true` is an error where it does not,
    `false` allows any kernel. No effect on CPUs (docs/execution.md)."""
    compile: bool | Literal["auto"] = False
    """Compile the model with torch.compile, which changes the rounding. `auto` does so where a trial on a CPU is long
    enough to earn what compiling takes (docs/execution.md)."""
    micro_batches: Literal["auto", "loop"] = "auto"
    """How train.micro_batch_size is run: `auto` takes the whole batch at once wherever that gives the same results,
    `loop` runs one micro-batch after another, which needs less memory."""


class TrialConfig(Config):
    """One setting with one seed."""

    data: DataConfig
    model: ModelConfig
    """The architecture, its norm and its weight reparametrization."""
    optim: OptimConfig
    """The optimizer and its learning rate schedule."""
    train: TrainConfig
    execution: ExecutionConfig = ExecutionConfig()
    seed: NonNegativeInt = 0
    """Seed of the initial weights, the data order and the augmentation."""

    @model_validator(mode="after")
    def _sections_fit_together(self) -> "TrialConfig":
        found: list[tuple[str, tuple[str, ...]]] = []
        if self.train.batch_size > self.data.train_size:
            text = (
                f"train.batch_size must not exceed the training set, but got train.batch_size={self.train.batch_size} "
                f"with {self.data.train_size} training images"
            )
            found.append((text, ("train.batch_size", "data.limit", "data.validation", "data.name")))
        micro = self.train.micro_batch_size
        if micro is not None and self.train.batch_size % micro:
            text = (
                "train.micro_batch_size must divide train.batch_size, but got "
                f"train.micro_batch_size={micro} with train.batch_size={self.train.batch_size}"
            )
            found.append((text, ("train.micro_batch_size", "train.batch_size")))
        if self.train.evaluation_statistics.name != "running" and not self.model.norm.keeps_statistics:
            text = (
                f"train.evaluation_statistics {self.train.evaluation_statistics.name!r} has no effect with norm "
                f"{self.model.norm.name!r}, which keeps no running statistics; set it only in cases whose norm does"
            )
            found.append((text, ("train.evaluation_statistics.name", "model.norm.name")))
        if self.model.checkpointing and self.execution.compile is True:
            text = "model.checkpointing cannot be compiled yet; leave out execution.compile or model.checkpointing"
            found.append((text, ("execution.compile", "model.checkpointing")))
        if self.train.keep == "best" and not self.data.validation:
            text = "train.keep 'best' needs a validation split; set data.validation, such as 5000"
            found.append((text, ("train.keep", "data.validation")))
        stop = self.train.stop_above
        if stop is not None and stop.after > self.train.epochs:
            text = f"train.stop_above.after={stop.after} is never reached with train.epochs={self.train.epochs}"
            found.append((text, ("train.stop_above.after", "train.epochs")))
        if found:
            raise conflict(*found)
        return self

    @property
    def micro_batch_counts(self) -> bool:
        """Whether train.micro_batch_size affects the results: only if images of a batch share statistics."""
        micro = self.train.micro_batch_size
        return micro is not None and micro < self.train.batch_size and self.model.norm.over_batch

    @property
    def epoch_steps(self) -> EpochSteps:
        """The steps of an epoch on `data.train_size` images."""
        train = self.train
        return EpochSteps(self.data.train_size, train.batch_size, train.drop_last, at_most=train.steps_per_epoch)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one epoch."""
        return self.epoch_steps.count

    @property
    def last_batch_size(self) -> int:
        """Images in an epoch's last batch that is trained on."""
        return self.epoch_steps.images_in(self.steps_per_epoch - 1)


def describe_statistics(statistics: Iterable[RunningConfig | RecomputedConfig]) -> str | None:
    """The statistics that norms are evaluated with, for a caption; None if no norm keeps any.

    Args:
        statistics: those of each setting whose norm keeps statistics.
    """
    return " or ".join(dict.fromkeys(map(_description, statistics))) or None


def _description(statistics: RunningConfig | RecomputedConfig) -> str:
    if isinstance(statistics, RunningConfig):
        return "running statistics"
    images, size = f"{statistics.images:,}", statistics.micro_batch_size
    return f"statistics recomputed over up to {images} training images in micro-batches of {size}"
