"""The time of a model's training step, computed from its counts and from the timed steps of one small network.

A step takes a time per operation of torch, however few images there are; a time per parameter, for the optimizer; and
a time per image, for its multiply-accumulates and its activations. What an operation and an image of the small network
take is timed here; how the rest compares with them is fixed.
"""

import time

import torch

from wsnet.config import TrialConfig
from wsnet.config.architectures import CifarResNetConfig
from wsnet.config.norm import BatchNormConfig
from wsnet.models import build
from wsnet.sweep.planning.costs import IMAGE, image_work, pass_operations, pass_work
from wsnet.sweep.planning.model_sizes import ModelSize
from wsnet.sweep.planning.stopwatch import Line, step_seconds

__all__ = ["Reference"]

_SIZES = {"cpu": (1, 16), "cuda": (16, 1024)}
"""Batch sizes of the two steps."""
_SHAPE, _CLASSES = (3, 32, 32), 10
_MODEL = CifarResNetConfig(name="cifar_resnet", depth=8, width=16, norm=BatchNormConfig(name="batch"))
_SIZE = ModelSize(
    parameters=78_042, multiply_accumulates=12_501_632, activation_bytes=651_568, operations=53, pretrained=None
)
"""What `_MODEL` counts; a test counts it again."""

_OPERATION = 0.4
"""What any operation takes, in operations of the small network, most of whose time is its convolutions'."""


class Reference:
    """Seconds per step and per image of any model, from its counts.

    Args:
        device: where the small network is timed, once.
    """

    def __init__(self, device: str) -> None:
        per_step, per_image = _timed(device)
        self._per_operation = _OPERATION * per_step / _SIZE.operations
        self._per_accumulate = per_image / (image_work(_SIZE) - IMAGE)  # Its images are made up.

    def line(self, config: TrialConfig, size: ModelSize) -> Line:
        """A model's seconds per step and per image; the configuration has nothing to add to its counts."""
        per_step = pass_operations(size) * self._per_operation + pass_work(size) * self._per_accumulate
        return per_step, image_work(size) * self._per_accumulate


def _timed(device: str) -> Line:
    """Seconds per step and per image of the small network."""
    model = build(_MODEL, classes=_CLASSES, shape=_SHAPE).to(device).to(memory_format=torch.channels_last)
    few, many = _SIZES["cuda" if device.startswith("cuda") else "cpu"]
    # The CPU time of one thread is what a step takes on a core that nothing else uses.
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    short, long = (
        min(step_seconds(model, torch.randn(size, *_SHAPE, device=device), _CLASSES, clock) for _ in range(2))
        for size in (few, many)
    )
    # Of noise, a long step could seem as short as a short one.
    per_image = max((long - short) / (many - few), long / many / 10)
    return max(short - few * per_image, short / 10), per_image
