"""From a sweep file to its settings: cases x grid, each one a whole, checked configuration."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wsnet.config.errors import ConfigError, Keys, Mistake, dotted, in_order
from wsnet.config.identity import canonical_text
from wsnet.config.own_class import locate, uses_own
from wsnet.config.own_images import locate_images
from wsnet.config.published import CASE
from wsnet.config.reading.axes import draw, read_cases
from wsnet.config.reading.checks import (
    cells_of_one_row,
    has_validation,
    mistakes_of_averages,
    mistakes_of_keys,
    mistakes_of_link,
    mistakes_of_validation,
    unlinked,
    warnings_of,
)
from wsnet.config.reading.messages import Finding
from wsnet.config.reading.overrides import (
    COMMAND_LINE,
    NOT_AN_AXIS,
    Override,
    covers,
    findings_of,
    merge,
    read_command_line,
    traced,
)
from wsnet.config.reading.sections import read_sections
from wsnet.config.reading.yaml_lines import Source
from wsnet.config.sweep import SweepConfig
from wsnet.config.trial import TrialConfig

__all__ = ["Setting", "Sweep", "distinct", "read_sweep", "read_trial", "sweep_of", "varying"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One combination: a whole configuration, and what makes it differ from the others.

    Attributes:
        config: the checked configuration, with seed 0.
        axes: dotted key to value, of every key that a case or the grid sets; and its case's label, as `case`.
        case: position of its case in the file; 0 where the file has no cases.
        also: the axes of further combinations that are the same setting, such as micro-batch sizes with a norm that
            takes no statistics over a batch. They are trained once, and shown at all these places.
    """

    config: TrialConfig
    axes: dict[str, Any]
    case: int = 0
    also: tuple[dict[str, Any], ...] = ()

    @property
    def places(self) -> tuple[dict[str, Any], ...]:
        """`axes` and `also`."""
        return (self.axes, *self.also)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep file, read and checked.

    Attributes:
        config: the sweep as written.
        settings: every setting, in the file's order.
        axes: dotted keys that vary between the settings, in the file's order.
        warnings: what is allowed and yet looks like an oversight, as `file:line: key: text`.
    """

    config: SweepConfig
    settings: list[Setting]
    axes: list[str]
    warnings: list[str]


def read_sweep(path: str, overrides: list[str] | None = None) -> Sweep:
    """Read a sweep file.

    Args:
        path: the YAML file.
        overrides: `key=value` pairs of `--set`. A trial's key (`train.epochs`) is fixed to that value in every setting,
            also where the file varies it; a key of the sweep (`seeds`, `scheduler.eta`) replaces the file's.

    Raises:
        ConfigError: with every mistake of the file at once.
    """
    return sweep_of(Source.read(path), overrides)


def sweep_of(source: Source, overrides: list[str] | None = None) -> Sweep:
    """See `read_sweep`."""
    own = uses_own(source.data, overrides or [])
    command_line = read_command_line(overrides or [], of_sweep=True, own=own)
    data = merge(source.data, {path: override.value for path, override in command_line.sweep.items()})
    sections = read_sections(data, source, command_line.sweep)
    config, fixed = sections.config, command_line.trial
    cases, mistakes, hidden = read_cases(config, source, own=own)
    mistakes += source.mistakes + command_line.mistakes + sections.mistakes
    mistakes += mistakes_of_keys(config, source, own=own, has_axes=sections.has_axes)
    mistakes += mistakes_of_link(config, source, own=own)
    seeded = [key for key in NOT_AN_AXIS if key in config.base]
    mistakes += [Mistake(source.place(("base", key)), f"base.{key}", NOT_AN_AXIS[key]) for key in seeded]
    settings: list[Setting] = []
    validated = True
    for case in cases if sections.has_base else ():
        for combination in draw(case, config.search, fixed):
            by_path = _by_path(combination)
            trial = _merged(config.base, by_path, source)
            try:
                checked = TrialConfig.model_validate(trial)
            except ValidationError:
                findings = findings_of(TrialConfig, trial)
                known = [f for f in findings if not _hidden(f, hidden, sections.has_axes)]
                mistakes += traced(known, source, ("base",), by_path)
                validated &= any(f.paths[0][:1] == ("data",) for f in findings) or has_validation(trial)
                continue
            validated &= checked.data.validation > 0
            axes = {CASE: case.label} if case.label is not None else {}
            axes |= {key: override.value for key, override in combination.items() if key not in fixed}
            settings.append(Setting(config=checked, axes=axes, case=case.index))
    if not validated:
        mistakes += mistakes_of_validation(config, source)
    mistakes += mistakes_of_averages(config, [setting.config for setting in settings], source)
    settings = distinct(settings)
    config, warnings = unlinked(config, fixed, source)
    if not mistakes:
        mistakes += cells_of_one_row(config, [axes for setting in settings for axes in setting.places], source)
    if mistakes:
        raise ConfigError(in_order(mistakes))
    warnings += warnings_of((setting.config for setting in settings), source)
    return Sweep(config=config, settings=settings, axes=varying(settings), warnings=warnings)


def read_trial(path: str, overrides: list[str] | None = None) -> TrialConfig:
    """Read the configuration of a single trial.

    Raises:
        ConfigError: with every mistake of the file at once.
    """
    source = Source.read(path)
    own = uses_own(source.data, overrides or [])
    command_line = read_command_line(overrides or [], of_sweep=False, own=own)
    by_path = _by_path(command_line.trial)
    data = _merged(source.data, by_path, source)
    mistakes = source.mistakes + command_line.mistakes
    try:
        config = TrialConfig.model_validate(data)
    except ValidationError:
        mistakes += traced(findings_of(TrialConfig, data), source, (), by_path)
    if mistakes:
        raise ConfigError(in_order(mistakes))
    return config


def varying(settings: list[Setting]) -> list[str]:
    """Keys that differ between settings; a key that all share is no axis."""
    places = [axes for setting in settings for axes in setting.places]
    keys = list(dict.fromkeys(key for axes in places for key in axes))
    if len(places) == 1:
        return keys
    first = places[0]
    return [k for k in keys if k not in first or any(k not in axes or axes[k] != first[k] for axes in places)]


def distinct(settings: Iterable[Setting]) -> list[Setting]:
    """Settings of equal identity put together: a range may draw one twice, `--set` may make two equal, and an axis may
    not matter in some case. They are trained once."""
    kept: dict[str, Setting] = {}
    for setting in settings:
        first = kept.setdefault(canonical_text(setting.config), setting)
        new = tuple(axes for axes in setting.places if axes not in first.places)
        kept[canonical_text(setting.config)] = replace(first, also=first.also + new)
    return list(kept.values())


def _merged(base: Mapping[str, Any], by_path: Mapping[Keys, Override], source: Source) -> dict[str, Any]:
    """A trial's data, with the places of its own norm's file and of its own images."""
    trial = merge(base, {path: override.value for path, override in by_path.items()})
    typed = {dotted(path): override.place == COMMAND_LINE for path, override in by_path.items()}
    folder = Path(source.name).parent
    return locate_images(locate(trial, folder, typed), folder, typed)


def _by_path(overrides: Mapping[str, Override]) -> dict[Keys, Override]:
    return {tuple(key.split(".")): override for key, override in overrides.items()}


def _hidden(finding: Finding, hidden: set[str], has_axes: bool) -> bool:
    """Whether something is called missing only because the cases or axes that hold it have mistakes of their own."""
    key = ".".join(map(str, finding.paths[0]))
    if finding.kind != "missing":
        return False
    return not has_axes or any(covers(key, other) or covers(other, key) for other in hidden)
