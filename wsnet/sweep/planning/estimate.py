"""Estimates how long a plan takes, by timing a few steps of every model here and scaling to the plan's steps.

Separate from `dry_run`, which prints the settings before torch is imported.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from wsnet.config import ExecutionConfig, TrialConfig
from wsnet.config.architectures import ModelConfig
from wsnet.config.optim import AdamConfig, AdamWConfig
from wsnet.config.trial import RecomputedConfig
from wsnet.models import build, loss_and_logits
from wsnet.sweep.planning.model_sizes import ModelSize, structure
from wsnet.sweep.planning.plan import Plan
from wsnet.training.micro_batches import plan_micro_batches

__all__ = ["Estimate", "cpu_threads", "estimate", "settled_device", "step_seconds"]

_SIZES = (2, 16)
"""Batch sizes timed: a step takes a fixed time plus a time per image, and two points determine that line."""
_SLOW = 0.25
"""Seconds of a step after which no more are timed, and no larger ones."""
_MOST_BYTES = 3e8
"""Memory of a step that is timed; the time of a larger model is computed from its multiply-accumulates."""
_BUDGET = 2.0
"""Seconds of timing after which a model is no longer timed if a similar one has been."""
_EVALUATION = 1 / 3
"""Cost of evaluating an image relative to training on it: a forward pass without a backward pass."""


_Line = tuple[float, float]
"""Seconds per step, and per image."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a plan costs.

    Attributes:
        per_trial: seconds of one trial, by setting_id.
        total: seconds of the whole plan.
        checkpoint_bytes: size of the checkpoints left at the end.
    """

    per_trial: dict[str, float]
    total: float
    checkpoint_bytes: int


def estimate(plan: Plan, *, threads: int, device: str, concurrent: int) -> Estimate:
    """Time a few steps of each model of a plan, or, where there are many, of some of each kind.

    Args:
        plan: the plan.
        threads: CPU threads that a trial would get.
        device: where trials would run.
        concurrent: number of trials that run at the same time.
    """
    stopwatch = _Stopwatch(device)
    per_trial: dict[str, float] = {}
    kept: dict[str, int] = {}
    with cpu_threads(threads):
        for trial in plan.trials:
            setting_id = trial.entry.setting_id
            if setting_id not in per_trial:
                size = plan.sizes[setting_id]
                per_trial[setting_id] = _trial_seconds(trial.config, *stopwatch.line(trial.config, size))
                kept[setting_id] = _checkpoint_bytes(trial.config, size.parameters)
    total = sum(per_trial[trial.entry.setting_id] for trial in plan.trials) / concurrent
    checkpoint_bytes = sum(kept[trial.entry.setting_id] for trial in plan.trials)
    return Estimate(per_trial=per_trial, total=total, checkpoint_bytes=checkpoint_bytes)


class _Stopwatch:
    """Times models, each structure once; after `_BUDGET` only those of a kind that it has not timed yet.

    Args:
        device: where they are timed.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._spent = 0.0
        self._lines: dict[object, _Line] = {}  # By structure.
        self._of_models: dict[object, _Line] = {}
        self._timed: dict[object, tuple[_Line, ModelSize]] = {}  # The last one timed of each kind.

    def line(self, config: TrialConfig, size: ModelSize) -> _Line:
        """A model's seconds per step and per image."""
        model, facts = config.model, config.data.facts
        if (model, facts) not in self._of_models:
            key = (structure(model), facts)
            if key not in self._lines:
                self._lines[key] = self._new_line(config, size, _kind(model))
            self._of_models[model, facts] = self._lines[key]
        return self._of_models[model, facts]

    def _new_line(self, config: TrialConfig, size: ModelSize, kind: object) -> _Line:
        similar = self._timed.get(kind)
        if similar is not None and self._spent > _BUDGET:
            (per_step, per_image), timed = similar
            return per_step, per_image * size.multiply_accumulates / max(1, timed.multiply_accumulates)
        began = time.perf_counter()
        is_large = 8 * size.parameters + _SIZES[1] * size.activation_bytes > _MOST_BYTES
        line = _computed_line(size, self._device) if is_large else _line(config, self._device)
        self._spent += time.perf_counter() - began
        self._timed[kind] = line, size
        return line


def _kind(model: ModelConfig) -> object:
    """Models of one kind take about as long for each multiply-accumulate."""
    return model.name, model.norm.name, model.weight


def _trial_seconds(config: TrialConfig, per_step: float, per_image: float) -> float:
    steps, data = config.steps_per_epoch, config.data
    trained = min(data.train_size, steps * config.train.batch_size) * data.augment.views
    evaluated = min(data.facts.test, data.limit or data.facts.test) + min(
        data.validation, data.limit or data.validation
    )
    evaluations = 1 if config.train.ema is None else 2
    size = plan_micro_batches(config).size
    passes = steps * (1 if size is None else -(-config.train.batch_size // size))
    forward = evaluated * evaluations + _recomputed(config)
    return config.train.epochs * (passes * per_step + (trained + forward * _EVALUATION) * per_image)


def _recomputed(config: TrialConfig) -> int:
    """Number of images per epoch over which the statistics for evaluation are recomputed."""
    asked, has_average = config.train.evaluation_statistics, config.train.ema is not None
    if not config.model.norm.keeps_statistics:
        return 0
    of_weights = asked if isinstance(asked, RecomputedConfig) else None
    each = min((of_weights or RecomputedConfig(name="recomputed")).images, config.data.train_size)
    return each * ((of_weights is not None) + has_average)


def _line(config: TrialConfig, device: str) -> _Line:
    """Seconds per step and per image of a model."""
    shape, classes = config.data.facts.shape, config.data.facts.classes
    model = build(config.model, classes=classes, shape=shape).to(device).to(memory_format=torch.channels_last)
    few = step_seconds(model, torch.randn(_SIZES[0], *shape, device=device), classes)
    if few > _SLOW:
        return 0.0, few / _SIZES[0]
    many = step_seconds(model, torch.randn(_SIZES[1], *shape, device=device), classes)
    per_image = max(many - few, 0.0) / (_SIZES[1] - _SIZES[0])
    return max(few - _SIZES[0] * per_image, 0.0), per_image


def _computed_line(size: ModelSize, device: str) -> _Line:
    """Seconds per step and per image of a model too large to be tried here, at the speed of one convolution."""
    convolution = torch.nn.Conv2d(64, 64, 3, padding=1, device=device)
    images = torch.randn(_SIZES[1], 64, 16, 16, device=device)
    seconds = step_seconds(torch.nn.Sequential(convolution, torch.nn.Flatten()), images, classes=10)
    speed = len(images) * 64 * 64 * 9 * 16 * 16 / seconds
    return 0.0, size.multiply_accumulates / speed


@contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Within the context, torch computes with a number of CPU threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def step_seconds(model: torch.nn.Module, images: torch.Tensor, classes: int) -> float:
    """Seconds of a forward and a backward pass: the faster of two, after one to warm up.

    Args:
        model: the network, in channels_last.
        images: shape (batch, channels, height, width).
        classes: number of classes.
    """
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(len(images), device=images.device) % classes
    times = []
    for _ in range(3):
        began = time.perf_counter()
        loss_and_logits(model(images), labels)[0].backward()
        if images.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
        if times[-1] > _SLOW:  # Next to which what only a first step does is short.
            break
    return min(times[1:] or times)


def _checkpoint_bytes(config: TrialConfig, parameters: int) -> int:
    optim = config.optim
    states = 3 if isinstance(optim, AdamConfig | AdamWConfig) else 2 if optim.momentum else 1
    states += config.train.ema is not None
    files = {"none": 0, "last": 1, "best": 2, "all": config.train.epochs + 2}[config.train.keep]
    return 4 * parameters * states * files


def settled_device(execution: ExecutionConfig, gpus: float) -> str:
    """Where trials would run on this machine."""
    return ("cuda" if gpus else "cpu") if execution.device == "auto" else execution.device
