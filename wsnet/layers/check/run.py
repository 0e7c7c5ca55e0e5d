"""The checks, in the order of the report card."""

from collections.abc import Callable

from wsnet.config.norm import OwnNormConfig
from wsnet.layers.check.batches import micro_batches
from wsnet.layers.check.compiled import compiled
from wsnet.layers.check.cost import cost
from wsnet.layers.check.finding import Finding, Line, failed
from wsnet.layers.check.gradients import activation_in_place, gradients
from wsnet.layers.check.inputs import batch_of_1, channels_last, constant_maps, low_precision, other_batches
from wsnet.layers.check.keeping import copies, frozen_evaluation
from wsnet.layers.check.subject import Subject
from wsnet.layers.own_norm import where

__all__ = ["CHECKS", "check"]

CHECKS: dict[str, Callable[[Subject], Finding]] = {
    "gradients": gradients,
    "activation in place": activation_in_place,
    "batch of 1": batch_of_1,
    "other batch sizes": other_batches,
    "constant maps": constant_maps,
    "channels_last": channels_last,
    "frozen evaluation": frozen_evaluation,
    "state_dict and copies": copies,
    "16 bits": low_precision,
    "micro-batches": micro_batches,
    "torch.compile": compiled,
    "cost": cost,
}


def check(subject: Subject, name: str) -> Line:
    """Run one check; what the norm raises is its finding."""
    try:
        return Line(name, CHECKS[name](subject))
    except Exception as error:
        config = subject.config
        file = config.source_file if isinstance(config, OwnNormConfig) else ""
        return Line(name, failed(f"raised {where(error, file)}"))
