"""Values put at dotted keys, by a case, a grid or `--set`; and mistakes traced back to where they were written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from wsnet.config.errors import ConfigError, Keys, Mistake, did_you_mean, dotted
from wsnet.config.reading.keys import is_key, sweep_keys, unknown_key
from wsnet.config.reading.messages import Finding, explain
from wsnet.config.reading.yaml_lines import Source, parse_value
from wsnet.config.sweep import SweepConfig

__all__ = [
    "COMMAND_LINE",
    "NOT_AN_AXIS",
    "CommandLine",
    "Override",
    "covers",
    "findings_of",
    "merge",
    "read_command_line",
    "traced",
]

COMMAND_LINE = "--set"
"""The place of everything that was not written in the file."""
NOT_AN_AXIS = {"seed": "seeds are counted by the sweep's own 'seeds'"}
"""Keys of a trial that a sweep file can not set, and why."""


@dataclass(frozen=True)
class Override:
    """A value put at a dotted key.

    Attributes:
        value: the value.
        place: where it was written, `file:line` or `--set`.
        shown: the key as written there.
        path: its path in the file; empty for the command line.
    """

    value: Any
    place: str
    shown: str
    path: Keys = ()


@dataclass(frozen=True)
class CommandLine:
    """The pairs of `--set`, by what they change.

    Attributes:
        sweep: paths in the sweep file (`("scheduler", "eta")`, `("grid", "train.batch_size")`).
        trial: dotted keys that are fixed in every setting.
        mistakes: pairs that are neither; they are in none of the two.
    """

    sweep: dict[Keys, Override]
    trial: dict[str, Override]
    mistakes: list[Mistake]


def read_command_line(pairs: Iterable[str], *, of_sweep: bool, own: bool = False) -> CommandLine:
    """Sort the `key=value` pairs of `--set`.

    Args:
        pairs: the pairs.
        of_sweep: whether they are of a sweep: only a sweep has keys of its own.
        own: whether an own norm is in use, whose options are keys too.
    """
    sweep: dict[Keys, Override] = {}
    trial: dict[str, Override] = {}
    mistakes: list[Mistake] = []
    for pair in pairs:
        key, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or not key:
            mistakes.append(Mistake(COMMAND_LINE, pair, "must be key=value, such as train.epochs=3"))
            continue
        try:
            override = Override(parse_value(text), COMMAND_LINE, key)
        except ConfigError as error:
            mistakes += [Mistake(COMMAND_LINE, key, mistake.message) for mistake in error.mistakes]
            continue
        first, _, rest = key.partition(".")
        if of_sweep and first in SweepConfig.model_fields:
            if rest and first in ("base", "grid") and not is_key(rest, own=own):
                mistakes.append(Mistake(COMMAND_LINE, key, unknown_key(rest)))
            elif rest and first not in ("base", "grid") and key not in sweep_keys():
                mistakes.append(Mistake(COMMAND_LINE, key, f"unknown key{did_you_mean(key, sweep_keys())}"))
            else:
                path = ("grid", rest) if first == "grid" and rest else tuple(key.split("."))
                sweep[path] = override
        elif not is_key(key, own=own):
            mistakes.append(Mistake(COMMAND_LINE, key, unknown_key(key)))
        elif of_sweep and key in NOT_AN_AXIS:
            mistakes.append(Mistake(COMMAND_LINE, key, NOT_AN_AXIS[key]))
        else:
            trial[key] = override
    return CommandLine(sweep, trial, mistakes)


def merge(base: Mapping[str, Any], overrides: Mapping[Keys, Any]) -> dict[str, Any]:
    """Base with values put at paths; base itself stays as it is.

    A section that base leaves out (or empty) is made. One that is no mapping stays, so that its own mistake is found.
    """
    merged: dict[str, Any] = _copied(base)
    for (*sections, last), value in overrides.items():
        section: Any = merged
        for name in sections:
            if section.get(name) is None:
                section[name] = {}
            section = section[name]
            if not isinstance(section, dict):
                break
        else:
            section[last] = _copied(value)
    return merged


def covers(key: str, other: str) -> bool:
    """Whether setting `key` sets `other` too."""
    return other == key or other.startswith(f"{key}.")


def findings_of(model: type[BaseModel], data: dict[str, Any]) -> list[Finding]:
    """Everything wrong with data that failed validation, also what only shows once its unknown keys are gone."""
    findings: list[Finding] = []
    while True:
        try:
            model.model_validate(data)
            return findings
        except ValidationError as error:
            found = explain(error, model, data)
        findings += found
        if any(finding.kind != "unknown" for finding in found):
            return findings
        data = _copied(data)
        for finding in found:
            section = data
            for name in finding.paths[0][:-1]:
                section = section[name]  # type: ignore[index]
            del section[finding.paths[0][-1]]  # type: ignore[arg-type]


def traced(
    findings: Iterable[Finding], source: Source, prefix: Keys, overrides: Mapping[Keys, Override]
) -> list[Mistake]:
    """Each finding at the override that caused it, or else at its place in the file below `prefix`."""
    mistakes = []
    for finding in findings:
        for path in finding.paths:
            # The last one that covers the path is the one whose value stands there.
            causes = [(o, path[len(keys) :]) for keys, o in overrides.items() if path[: len(keys)] == keys]
            if causes:
                cause, rest = causes[-1]
                place = source.place((*cause.path, *rest)) if cause.path else cause.place
                inner = f"{'' if isinstance(rest[0], int) else '.'}{dotted(rest)}" if rest else ""
                mistakes.append(Mistake(place, cause.shown + inner, finding.message))
                break
        else:
            path = (*prefix, *finding.paths[0])
            mistakes.append(Mistake(source.place(path), dotted(path), finding.message))
    return mistakes


def _copied(value: Any) -> Any:
    return {key: _copied(inner) for key, inner in value.items()} if isinstance(value, dict) else value
