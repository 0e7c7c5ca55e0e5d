"""Some settings of a sweep, chosen by their values on its axes: nothing about them changes, not even their ids."""

from dataclasses import replace
from typing import Any

from wsnet.config.errors import ConfigError, Mistake, did_you_mean
from wsnet.config.published import CASE
from wsnet.config.settings import Setting, Sweep
from wsnet.config.source import parse_value

__all__ = ["only"]

_PLACE = "--only"


def only(sweep: Sweep, pairs: list[str]) -> Sweep:
    """Leave out all other settings.

    Args:
        sweep: any sweep.
        pairs: `axis=value`, such as `case=ResNet-110`. Of one axis, each value is kept; of several, what fits all.

    Returns:
        The sweep with the settings that fit, along the same axes.

    Raises:
        ConfigError: an axis that the sweep does not have, or nothing fits.
    """
    wanted: dict[str, list[Any]] = {}
    mistakes = []
    known = dict.fromkeys(key for setting in sweep.settings for axes in setting.places for key in axes)
    for pair in pairs:
        key, equals, text = (part.strip() for part in pair.partition("="))
        if not key or not equals or not text:
            mistakes.append(Mistake(_PLACE, pair, "must be axis=value, such as train.batch_size=32"))
        elif key not in known:
            mistakes.append(Mistake(_PLACE, key, f"no axis of this sweep{did_you_mean(key, known)}"))
        else:
            # A label is a text, also where it looks like a number.
            wanted.setdefault(key, []).append(text.strip("'\"") if key == CASE else parse_value(text))
    if not mistakes:
        mistakes = [
            _nothing(sweep, key, values) for key, values in wanted.items() if not _fitting(sweep, {key: values})
        ]
    if mistakes:
        raise ConfigError(mistakes)
    settings = _fitting(sweep, wanted)
    if not settings:
        raise ConfigError([Mistake(_PLACE, ", ".join(wanted), "no setting fits all of them")])
    return replace(sweep, settings=settings)


def _fitting(sweep: Sweep, wanted: dict[str, list[Any]]) -> list[Setting]:
    kept = []
    for setting in sweep.settings:
        places = [axes for axes in setting.places if all(axes.get(key) in values for key, values in wanted.items())]
        if places:
            kept.append(replace(setting, axes=places[0], also=tuple(places[1:])))
    return kept


def _nothing(sweep: Sweep, key: str, values: list[Any]) -> Mistake:
    there = dict.fromkeys(str(axes[key]) for setting in sweep.settings for axes in setting.places if key in axes)
    return Mistake(
        _PLACE, key, f"no setting has {' or '.join(map(repr, values))} there{did_you_mean(values[0], there)}"
    )
