"""How the learning rate follows the batch size: by `optim.scale_with_batch`, or by the values of a sweep's axes."""

import math
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

from wsnet.config.optim import CosineConfig, OptimConfig, PolynomialConfig, SGDConfig
from wsnet.config.report import SelectConfig
from wsnet.config.trial import TrialConfig

if TYPE_CHECKING:
    from wsnet.config.reading.checked_sweep import Setting

__all__ = ["describe_scaling", "learning_rate_rule", "scaled_optim"]


def scaled_optim(optim: OptimConfig, batch_size: int) -> OptimConfig:
    """The optimizer for a batch size, with `scale_with_batch` applied and unset.

    Args:
        optim: as configured.
        batch_size: images per optimizer step.

    Returns:
        The optimizer with effective lr, momentum and final_lr; see `ScaleWithBatchConfig` for the rules.
    """
    if optim.scale_with_batch is None:
        return optim
    ratio, rule = batch_size / optim.scale_with_batch.base, optim.scale_with_batch.rule
    factor = math.sqrt(ratio) if rule == "sqrt" else ratio
    changes: dict[str, Any] = {"scale_with_batch": None}
    if rule == "momentum" and isinstance(optim, SGDConfig):
        changes["momentum"] = optim.momentum**ratio
        # A gradient's total contribution to all steps, lr / (1 - momentum), is then proportional to the batch size.
        factor *= (1 - changes["momentum"]) / (1 - optim.momentum)
    changes["lr"] = optim.lr * factor
    if isinstance(optim.schedule, CosineConfig | PolynomialConfig):
        changes["schedule"] = optim.schedule.model_copy(update={"final_lr": optim.schedule.final_lr * factor})
    return optim.model_copy(update=changes)


def describe_scaling(config: TrialConfig) -> str | None:
    """A trial's lr and momentum after `optim.scale_with_batch`, as text to display; None if it is not set."""
    scale = config.optim.scale_with_batch
    if scale is None:
        return None
    optim = scaled_optim(config.optim, config.train.batch_size)
    momentum = f", momentum {optim.momentum:.6g}" if isinstance(optim, SGDConfig) and scale.rule == "momentum" else ""
    return f"lr {optim.lr:.6g}{momentum}"


def learning_rate_rule(settings: "Iterable[Setting]", select: SelectConfig | None = None) -> str | None:
    """How lr follows the batch size in a sweep over batch sizes, whose table cannot be interpreted without it.

    Args:
        settings: of the sweep.
        select: what is chosen for each cell of its table, if anything. If optim.lr is chosen, the rule describes the
            candidate rates.

    Returns:
        `fixed` (the same at every batch size), `linear` (proportional to it), `scale_with_batch` with its rule, or
        `tuned` (anything else; for chosen rates, with the rule that the candidates follow, if any); None if no case is
        trained at more than one batch size.
    """
    configs = [(setting.case, setting.config) for setting in settings]
    rule = _shared(configs)
    if rule is None or select is None or "optim.lr" not in select.over or len({c.optim.lr for _, c in configs}) == 1:
        return rule
    of_each = _shared(((case, config.optim.lr), config) for case, config in configs)
    return "tuned" if of_each in (None, "fixed", "tuned") else f"tuned, among rates that follow the batch: {of_each}"


def _shared(configs: Iterable[tuple[Hashable, TrialConfig]]) -> str | None:
    """The rule shared by all groups with several batch sizes; `tuned` if they differ, None if there are none."""
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
