"""Times the models of a plan: a few steps of each, or, where there are many, of some of each kind."""

import time
from collections.abc import Callable

import torch

from wsnet.config import TrialConfig
from wsnet.config.architectures import ModelConfig
from wsnet.models import build, loss_and_logits
from wsnet.sweep.planning.model_sizes import ModelSize, structure

__all__ = ["Line", "Stopwatch", "step_seconds"]

_SIZES = (2, 16)
"""Batch sizes timed: a step takes a fixed time plus a time per image, and two points determine that line."""
_SLOW = 0.25
"""Seconds of a step after which no more are timed, and no larger ones."""
_MOST_BYTES = 3e8
"""Memory of a step that is timed; the time of a larger model is computed from its multiply-accumulates."""
_BUDGET = 2.0
"""Seconds of timing after which a model is no longer timed if a similar one has been."""

Line = tuple[float, float]
"""Seconds per step, and per image."""


class Stopwatch:
    """Times models, each structure once; after `_BUDGET` only those of a kind that it has not timed yet.

    Args:
        device: where they are timed.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._spent = 0.0
        self._lines: dict[object, Line] = {}  # By structure.
        self._of_models: dict[object, Line] = {}
        self._timed: dict[object, tuple[Line, ModelSize]] = {}  # The last one timed of each kind.

    def line(self, config: TrialConfig, size: ModelSize) -> Line:
        """A model's seconds per step and per image."""
        model, facts = config.model, config.data.facts
        if (model, facts) not in self._of_models:
            key = (structure(model), facts)
            if key not in self._lines:
                self._lines[key] = self._new_line(config, size, _kind(model))
            self._of_models[model, facts] = self._lines[key]
        return self._of_models[model, facts]

    def _new_line(self, config: TrialConfig, size: ModelSize, kind: object) -> Line:
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


def _line(config: TrialConfig, device: str) -> Line:
    """Seconds per step and per image of a model."""
    shape, classes = config.data.facts.shape, config.data.facts.classes
    model = build(config.model, classes=classes, shape=shape).to(device).to(memory_format=torch.channels_last)
    few = step_seconds(model, torch.randn(_SIZES[0], *shape, device=device), classes)
    if few > _SLOW:
        return 0.0, few / _SIZES[0]
    many = step_seconds(model, torch.randn(_SIZES[1], *shape, device=device), classes)
    per_image = max(many - few, 0.0) / (_SIZES[1] - _SIZES[0])
    return max(few - _SIZES[0] * per_image, 0.0), per_image


def _computed_line(size: ModelSize, device: str) -> Line:
    """Seconds per step and per image of a model too large to be tried here, at the speed of one convolution."""
    convolution = torch.nn.Conv2d(64, 64, 3, padding=1, device=device)
    images = torch.randn(_SIZES[1], 64, 16, 16, device=device)
    seconds = step_seconds(torch.nn.Sequential(convolution, torch.nn.Flatten()), images, classes=10)
    speed = len(images) * 64 * 64 * 9 * 16 * 16 / seconds
    return 0.0, size.multiply_accumulates / speed


def step_seconds(
    model: torch.nn.Module, images: torch.Tensor, classes: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Seconds of a forward and a backward pass: the faster of two, after one to warm up.

    Args:
        model: the network, in channels_last.
        images: shape (batch, channels, height, width).
        classes: number of classes.
        clock: gives the time in seconds.
    """
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(len(images), device=images.device) % classes
    times = []
    for _ in range(3):
        began = clock()
        loss_and_logits(model(images), labels)[0].backward()
        if images.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(clock() - began)
        if times[-1] > _SLOW:  # Next to which what only a first step does is short.
            break
    return min(times[1:] or times)
