"""What to train next in one cell, suggested by Optuna from the results so far."""

import hashlib
import itertools
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wsnet.config.reading.ranges import Range
from wsnet.config.reading.search_cells import Space, Study
from wsnet.config.search import SuggestedConfig, TpeConfig

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

__all__ = ["Result", "suggest"]

_ATTEMPTS = 50
"""How often Optuna is asked for one new setting: it may suggest the same setting more than once."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What is known about one setting.

    Attributes:
        median: metric's median over the seeds, lower is better; infinite if it diverged; None if it has no result.
        stopped: the medians by epoch, where a scheduler stopped the setting; None if it was trained to the end.
    """

    median: float | None
    stopped: dict[int, float] | None = None


def suggest(study: Study, results: Sequence[Result], search: SuggestedConfig) -> list[dict[str, Any]]:
    """New settings for a cell, none of which it has yet: a pure function of the arguments.

    Suggestions that are made together take one another into account as Optuna does for parallel trials.

    Args:
        study: the cell.
        results: of the study's points, in their order.
        search: which method, and how many settings at a time.

    Returns:
        at most `search.batch` settings, each as searched axis to value; fewer if no new one is found.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    number = len(study.points)
    seed = int.from_bytes(hashlib.sha256(f"{search.seed}/{study.name}/{number}".encode()).digest()[:4], "little")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # That a sampler is experimental, or that it clips infinite values.
        asked = optuna.create_study(sampler=_sampler(search, seed))
        space = {key: _distribution(values) for key, values in study.space.items()}
        for point, result in zip(study.points, results, strict=True):
            asked.add_trial(_told(point, result, study.space, space))
        known = {_text(point) for point in study.points}
        found = []
        for _ in range(min(search.batch, study.missing)):
            for _ in range(_ATTEMPTS):
                trial = asked.ask(space)
                point = {key: _value(study.space[key], trial.params[key]) for key in space}
                if _text(point) not in known:
                    break
                asked.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                point = next((other for other in _combinations(study.space) if _text(other) not in known), point)
            if _text(point) in known:
                break
            known.add(_text(point))
            found.append(point)
    return found


def _sampler(search: SuggestedConfig, seed: int) -> "BaseSampler":
    """The method, without random settings of its own: those were drawn when the sweep file was read."""
    from optuna.samplers import GPSampler, TPESampler

    if isinstance(search, TpeConfig):
        return TPESampler(seed=seed, n_startup_trials=1, multivariate=True, constant_liar=True)
    return GPSampler(seed=seed, n_startup_trials=1)


def _distribution(values: list[Any] | Range) -> "BaseDistribution":
    """A range, or the positions in a list: ordered ones if the list is of ascending numbers."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, Range):
        if values.scale == "one_minus_log":
            return FloatDistribution(1 - values.high, 1 - values.low, log=True)
        return FloatDistribution(values.low, values.high, log=values.scale == "log")
    are_numbers = all(type(value) in (int, float) for value in values)
    if are_numbers and values == sorted(values):
        return IntDistribution(0, len(values) - 1)
    return CategoricalDistribution(range(len(values)))


def _told(
    point: dict[str, Any], result: Result, space: Space, distributions: "dict[str, BaseDistribution]"
) -> "FrozenTrial":
    """A setting and its result, as Optuna's trial."""
    from optuna.trial import TrialState, create_trial

    made: dict[str, Any] = {
        "params": {key: _parameter(space[key], value) for key, value in point.items()},
        "distributions": distributions,
    }
    if result.median is None:
        return create_trial(state=TrialState.FAIL, **made)
    if result.stopped:
        return create_trial(state=TrialState.PRUNED, intermediate_values=result.stopped, **made)
    return create_trial(state=TrialState.COMPLETE, value=result.median, **made)


def _parameter(values: list[Any] | Range, value: Any) -> Any:
    if isinstance(values, Range) and values.scale == "one_minus_log":
        return min(max(1 - float(value), 1 - values.high), 1 - values.low)
    if isinstance(values, Range):
        return float(value)
    return next(index for index, other in enumerate(values) if _text(other) == _text(value))


def _value(values: list[Any] | Range, parameter: Any) -> Any:
    if isinstance(values, Range):
        return values.rounded(1 - parameter if values.scale == "one_minus_log" else parameter)
    return values[parameter]


def _combinations(space: Space) -> Iterator[dict[str, Any]]:
    """Every setting of a space of lists; none of a space with a range."""
    lists = [values for values in space.values() if isinstance(values, list)]
    if len(lists) == len(space):
        yield from (dict(zip(space, values, strict=True)) for values in itertools.product(*lists))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
