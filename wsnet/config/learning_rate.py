"""How the learning rate follows the batch size in a sweep over batch sizes: a table can not be read without it."""

import math
from collections.abc import Iterable

from wsnet.config.settings import Setting
from wsnet.config.trial import TrialConfig

__all__ = ["learning_rate_rule"]


def learning_rate_rule(settings: Iterable[Setting]) -> str | None:
    """The rule of a sweep, derived from its settings.

    Returns:
        `fixed` (the same at every batch size), `linear` (proportional to it), `scale_with_batch` with its rule, or
        `tuned` (anything else); None where no case is trained at more than one batch size.
    """
    cases: dict[int, list[TrialConfig]] = {}
    for setting in settings:
        cases.setdefault(setting.case, []).append(setting.config)
    rules = {_rule(configs) for configs in cases.values() if len({config.train.batch_size for config in configs}) > 1}
    return None if not rules else rules.pop() if len(rules) == 1 else "tuned"


def _rule(configs: list[TrialConfig]) -> str:
    scales = {config.optim.scale_with_batch for config in configs}
    rates = {config.optim.lr for config in configs}
    ratios = [config.optim.lr / config.train.batch_size for config in configs]
    if len(scales) == 1 and len(rates) == 1:
        (scale,) = scales
        if scale is None:
            return "fixed"
        return "linear" if scale.rule == "linear" else f"scale_with_batch, rule {scale.rule} from batch {scale.base}"
    if scales == {None} and math.isclose(min(ratios), max(ratios), rel_tol=1e-6):
        return "linear"
    return "tuned"
