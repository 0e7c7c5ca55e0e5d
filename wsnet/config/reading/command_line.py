"""The `key=value` pairs of `--set`, sorted by what they change."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from wsnet.config.errors import ConfigError, Keys, Mistake, did_you_mean
from wsnet.config.reading.keys import NOT_AN_AXIS, TrialKeys, sweep_keys
from wsnet.config.reading.located import COMMAND_LINE, Located
from wsnet.config.reading.yaml_lines import located_value
from wsnet.config.sweep import SweepConfig

__all__ = ["CommandLine", "read_command_line"]


@dataclass(frozen=True)
class CommandLine:
    """What `--set` changes.

    Attributes:
        sweep: by path in the sweep file (`("scheduler", "eta")`, `("grid", "train.batch_size")`).
        trial: by dotted key, fixed in every setting.
        mistakes: pairs that are neither.
    """

    sweep: dict[Keys, Located] = field(default_factory=dict)
    trial: dict[str, Located] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)


def read_command_line(pairs: Iterable[str], keys: TrialKeys, *, of_sweep: bool) -> CommandLine:
    """Read the pairs.

    Args:
        pairs: the pairs.
        keys: the keys that a trial may have.
        of_sweep: whether they are for a sweep file, which has additional keys, not for a trial file.
    """
    found = CommandLine()
    for pair in pairs:
        key, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or not key:
            found.mistakes.append(Mistake(COMMAND_LINE, pair, "must be key=value, such as train.epochs=3"))
            continue
        try:
            value = located_value(text, key)
        except ConfigError as error:
            found.mistakes.extend(Mistake(COMMAND_LINE, key, mistake.message) for mistake in error.mistakes)
            continue
        wrong = _wrong(key, keys, of_sweep)
        if wrong:
            found.mistakes.append(Mistake(COMMAND_LINE, key, wrong))
        elif of_sweep and _section(key) in SweepConfig.model_fields:
            found.sweep[_path(key)] = value
        else:
            found.trial[key] = value
    return found


def _wrong(key: str, keys: TrialKeys, of_sweep: bool) -> str:
    """What is wrong with a key; empty where it can be set."""
    section, _, rest = key.partition(".")
    if not of_sweep or section not in SweepConfig.model_fields:
        if key not in keys:
            return keys.unknown(key)
        return NOT_AN_AXIS.get(key, "") if of_sweep else ""
    if section in ("base", "grid"):
        return keys.unknown(rest) if rest and rest not in keys else ""
    return f"unknown key{did_you_mean(key, sweep_keys())}" if rest and key not in sweep_keys() else ""


def _section(key: str) -> str:
    return key.partition(".")[0]


def _path(key: str) -> Keys:
    """Path of a key in a sweep file, where an axis is a single key, including its dots."""
    section, _, axis = key.partition(".")
    return (section, axis) if section == "grid" and axis else tuple(key.split("."))
