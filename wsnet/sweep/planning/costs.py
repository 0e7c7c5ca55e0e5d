"""What a setting's epochs compute, in counts: the basis of estimates, and of the order in which trials start."""

from dataclasses import dataclass

from wsnet.config import TrialConfig
from wsnet.config.trial import RecomputedConfig
from wsnet.sweep.planning.model_sizes import ModelSize
from wsnet.training.micro_batches import plan_micro_batches

__all__ = ["EpochCounts", "epoch_cost", "epoch_counts", "image_work", "pass_operations", "pass_work"]

_EVALUATION = 1 / 3
"""Cost of evaluating an image relative to training on it: a forward pass without a backward pass."""

# How costs compare, fitted to 28 measured epochs (docs/scaling.md). In multiply-accumulates that take as long:
_BYTE = 14.0  # A byte of activations, which is written and read.
_PARAMETER = 80.0  # The optimizer's work on a parameter.
_OF_OPERATION = 4e5  # One of torch's operations on a CPU core, typically; `Reference` times it.
IMAGE = 1.7e6
"""Reading and augmenting an image, in multiply-accumulates that take as long."""
_STEP = 90
"""What a step does besides the model's operations, in operations that take as long: reading a batch, calling the
optimizer, measuring."""


@dataclass(frozen=True, kw_only=True)
class EpochCounts:
    """What one epoch computes.

    Attributes:
        passes: forward and backward passes: one per step, or per micro-batch.
        images: images trained on, with the evaluated ones as the part of a trained one that they cost.
    """

    passes: int
    images: float


def epoch_counts(config: TrialConfig) -> EpochCounts:
    """The passes and images of an epoch of a setting."""
    steps, data = config.steps_per_epoch, config.data
    trained = min(data.train_size, steps * config.train.batch_size) * data.augment.views
    evaluated = min(data.facts.test, data.limit or data.facts.test) + min(
        data.validation, data.limit or data.validation
    )
    evaluations = 1 if config.train.ema is None else 2
    passes = steps
    if config.train.micro_batch_size is not None and (size := plan_micro_batches(config).size) is not None:
        passes = steps * -(-config.train.batch_size // size)
    forward = evaluated * evaluations + _recomputed(config)
    return EpochCounts(passes=passes, images=trained + forward * _EVALUATION)


def pass_operations(size: ModelSize) -> int:
    """Torch operations that take as long as what is done once per pass, apart from `pass_work`."""
    return size.operations + _STEP


def pass_work(size: ModelSize) -> float:
    """Multiply-accumulates that take as long as the optimizer's work in a step."""
    return size.parameters * _PARAMETER


def image_work(size: ModelSize) -> float:
    """Multiply-accumulates of the forward pass that take as long as an image's training step."""
    return IMAGE + size.multiply_accumulates + _BYTE * size.activation_bytes


def epoch_cost(config: TrialConfig, size: ModelSize) -> float:
    """How long an epoch takes relative to the epochs of other settings: in multiply-accumulates that take as long."""
    counts = epoch_counts(config)
    per_pass = pass_operations(size) * _OF_OPERATION + pass_work(size)
    return counts.passes * per_pass + counts.images * image_work(size)


def _recomputed(config: TrialConfig) -> int:
    """Number of images per epoch over which the statistics for evaluation are recomputed."""
    asked, has_average = config.train.evaluation_statistics, config.train.ema is not None
    if not config.model.norm.keeps_statistics:
        return 0
    of_weights = asked if isinstance(asked, RecomputedConfig) else None
    each = min((of_weights or RecomputedConfig(name="recomputed")).images, config.data.train_size)
    return each * ((of_weights is not None) + has_average)
