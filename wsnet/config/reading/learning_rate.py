"""How the learning rate follows the batch size in a sweep over batch sizes: a table can not be read without it."""

import math
from collections.abc import Hashable, Iterable

from wsnet.config.reading.settings import Setting
from wsnet.config.sweep import SelectConfig
from wsnet.config.trial import TrialConfig

__all__ = ["learning_rate_rule"]


def learning_rate_rule(settings: Iterable[Setting], select: SelectConfig | None = None) -> str | None:
    """The rule of a sweep, derived from its settings.

    Args:
        settings: of the sweep.
        select: what is chosen for each cell of its table, if anything. Where that is optim.lr, the rule is that of the
            rates to choose from.

    Returns:
        `fixed` (the same at every batch size), `linear` (proportional to it), `scale_with_batch` with its rule, or
        `tuned` (anything else; chosen rates may follow one of the rules); None where no case is trained at more than
        one batch size.
    """
    configs = [(setting.case, setting.config) for setting in settings]
    rule = _shared(configs)
    if rule is None or select is None or "optim.lr" not in select.over or len({c.optim.lr for _, c in configs}) == 1:
        return rule
    of_each = _shared(((case, config.optim.lr), config) for case, config in configs)
    return "tuned" if of_each in (None, "fixed", "tuned") else f"tuned, among rates that follow the batch: {of_each}"


def _shared(configs: Iterable[tuple[Hashable, TrialConfig]]) -> str | None:
    """The rule of all groups that have several batch sizes."""
    groups: dict[Hashable, list[TrialConfig]] = {}
    for group, config in configs:
        groups.setdefault(group, []).append(config)
    rules = {_rule(found) for found in groups.values() if len({config.train.batch_size for config in found}) > 1}
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
