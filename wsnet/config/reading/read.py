"""From a sweep file to its settings: cases x grid, each one a complete, checked configuration."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wsnet.called import called
from wsnet.config.errors import ConfigError, Mistake, in_order
from wsnet.config.published import CASE
from wsnet.config.reading.axes import Case, read_cases
from wsnet.config.reading.case_mistakes import located
from wsnet.config.reading.checked_sweep import Setting, Sweep, distinct, varying
from wsnet.config.reading.checks import (
    drop_incomparable_published,
    mistakes_of_cells,
    mistakes_of_missing_averages,
    mistakes_of_missing_validation_split,
    mistakes_of_report,
    warnings_of,
    warnings_of_scheduler,
)
from wsnet.config.reading.combinations import count, draw
from wsnet.config.reading.command_line import read_command_line
from wsnet.config.reading.comparisons import declared, mistakes_of_compare
from wsnet.config.reading.keys import TrialKeys, covers
from wsnet.config.reading.located import Located
from wsnet.config.reading.messages import Violation, validated
from wsnet.config.reading.own_files import resolve_paths, with_files
from wsnet.config.reading.search_cells import Points, Study, count_of, mistakes_of_search, studies_of
from wsnet.config.reading.stages import confirming, mistakes_of_stages, tuning
from wsnet.config.reading.sweep_file import SweepFile, read_sections
from wsnet.config.reading.yaml_lines import YamlFile
from wsnet.config.search import GridConfig, SuggestedConfig
from wsnet.config.trial import TrialConfig

__all__ = ["read_sweep", "read_trial", "sweep_of", "trial_of"]

_MOST_SETTINGS = 100_000
"""Of a sweep file: more would take minutes to read, and years to train."""


def read_sweep(path: str, overrides: list[str] | None = None, suggested: Mapping[str, Points] | None = None) -> Sweep:
    """Read a sweep file.

    Args:
        path: the YAML file.
        overrides: `key=value` pairs of `--set`. A trial's key (`train.epochs`) is fixed to that value in every setting,
            even where the file varies it; a key of the sweep (`seeds`, `scheduler.eta`) replaces the file's.
        suggested: settings of earlier starts, by the name of their study.

    Raises:
        ConfigError: with every mistake of the file at once.
    """
    return sweep_of(YamlFile.read(path), overrides, suggested)


def sweep_of(
    yaml: YamlFile, overrides: list[str] | None = None, suggested: Mapping[str, Points] | None = None
) -> Sweep:
    """The sweep of a parsed file; see `read_sweep`."""
    file, folder = read_sections(yaml, overrides or []), Path(yaml.name).parent
    suggested = suggested or {}
    stages = file.config.stages
    if stages is None:
        return _checked(*_sweep(file, folder, suggested))
    wrong = mistakes_of_stages(file, stages)
    if wrong or file.config.report.select is None:
        raise ConfigError(in_order([*_sweep(file, folder, suggested)[1], *wrong]))
    first, mistakes = _sweep(tuning(file, stages), folder, suggested)
    second, more = _sweep(confirming(file, stages), folder, suggested)
    return replace(_checked(second, [*mistakes, *more]), tuning=replace(first, is_stage=True), is_stage=True)


def _checked(sweep: Sweep, mistakes: list[Mistake]) -> Sweep:
    if mistakes:
        raise ConfigError(in_order(mistakes))
    return sweep


def _sweep(file: SweepFile, folder: Path, suggested: Mapping[str, Points]) -> tuple[Sweep, list[Mistake]]:
    """The sweep of a file's sections, and every mistake; the sweep is of use only if there is none."""
    cases, mistakes, hidden = read_cases(file)
    mistakes += file.mistakes + mistakes_of_report(file) + mistakes_of_compare(file) + mistakes_of_search(file)
    asked = sum(_count(case, file) for case in cases)
    if asked > _MOST_SETTINGS:
        text = f"a sweep must have at most {_MOST_SETTINGS:,} settings, but this makes {asked:,}"
        key = "grid" if isinstance(file.config.search, GridConfig) else "search"
        mistakes.append(file.mistake((key,), text))
        cases = []
    studies, drawn = _drawn(file, cases if file.has_base else [], suggested)
    settings, wrong = _settings(file, drawn, folder, hidden)
    mistakes += wrong
    if any(setting.config.train.ema is None for setting in settings):
        mistakes += mistakes_of_missing_averages(file)
    settings = distinct(settings)
    config, warnings, departures = drop_incomparable_published(file)
    if not mistakes:
        mistakes += mistakes_of_cells(file, config, [axes for setting in settings for axes in setting.places])
    comparisons, wrong, more = declared(file, settings) if settings and not mistakes else (None, [], [])
    if mistakes := mistakes + wrong:
        return Sweep(config=config, settings=settings, axes=[], warnings=[]), mistakes
    configs = [setting.config for setting in settings]
    warnings += [*more, *warnings_of(file, configs), *warnings_of_scheduler(file, configs)]
    return Sweep(
        config=config,
        settings=settings,
        axes=varying(settings),
        warnings=warnings,
        studies=tuple(studies),
        base=file.base.merged(file.fixed).plain(),
        departures=departures,
        comparisons=comparisons,
    ), []


def read_trial(path: str, overrides: list[str] | None = None) -> TrialConfig:
    """Read the configuration of a single trial.

    Raises:
        ConfigError: with every mistake of the file at once.
    """
    return trial_of(YamlFile.read(path), overrides)


def trial_of(yaml: YamlFile, overrides: list[str] | None = None) -> TrialConfig:
    """The trial of a parsed file; see `read_trial`."""
    if "base" in yaml.data:
        text = f"this is a sweep file, not the file of one trial; train it with `{called('run')} {yaml.name}`"
        raise ConfigError([Mistake(f"{yaml.name}:1", "", text)])
    keys = TrialKeys.of(yaml.data, overrides or [])
    command_line = read_command_line(overrides or [], keys, of_sweep=False)
    tree = yaml.tree.merged(command_line.trial)
    config, violations = validated(TrialConfig, with_files(resolve_paths(tree, Path(yaml.name).parent)))
    mistakes = [violation.located_in(tree) for violation in violations]
    mistakes += yaml.mistakes + command_line.mistakes
    if config is None or mistakes:
        raise ConfigError(in_order(mistakes))
    return config


def _count(case: Case, file: SweepFile) -> int:
    """How many settings a case makes, at most."""
    search = file.config.search
    if isinstance(search, SuggestedConfig):
        return count_of(case, search, _over(file, case), file.fixed)
    return count(case, search, file.fixed)


def _drawn(
    file: SweepFile, cases: Iterable[Case], suggested: Mapping[str, Points]
) -> tuple[list[Study], list[tuple[Case, dict[str, Located]]]]:
    """The studies, if the search makes suggestions; and every combination of every case, so far."""
    search = file.config.search
    if not isinstance(search, SuggestedConfig):
        return [], [(case, combination) for case in cases for combination in draw(case, search, file.fixed)]
    studies, drawn = [], []
    for case in cases:
        for study, combinations in studies_of(case, search, _over(file, case), file.fixed, suggested):
            studies.append(study)
            drawn += [(case, combination) for combination in combinations]
    return studies, drawn


def _over(file: SweepFile, case: Case) -> tuple[str, ...]:
    """The axes to search over; its ranges where the file does not say, which is a mistake."""
    select = file.config.report.select
    return tuple(case.ranges) if select is None else select.over


def _settings(
    file: SweepFile, combinations: Sequence[tuple[Case, dict[str, Located]]], folder: Path, hidden: set[str]
) -> tuple[list[Setting], list[Mistake]]:
    """Every combination, validated; and the mistakes of the invalid ones."""
    settings: list[Setting] = []
    mistakes: list[Mistake] = []
    all_have_validation = True
    for case, combination in combinations:
        tree = file.base.merged(combination)
        data = with_files(resolve_paths(tree, folder))
        config, violations = validated(TrialConfig, data)
        if config is None:
            known = [violation for violation in violations if not _hidden(violation, hidden, file.has_axes)]
            mistakes += [located(violation, tree, case) for violation in known]
            all_have_validation &= _may_have_validation(data, violations)
            continue
        all_have_validation &= config.data.validation > 0
        settings.append(Setting(config=config, axes=_axes(case, combination, file.fixed), case=case.index))
    if not all_have_validation:
        mistakes += mistakes_of_missing_validation_split(file)
    return settings, _once_per_range(mistakes, [case for case, _ in combinations])


def _once_per_range(mistakes: Iterable[Mistake], cases: Iterable[Case]) -> list[Mistake]:
    """The mistakes, of those in the values drawn from one range only the first."""
    ranges = {(spot.place, spot.key) for case in cases for spot in case.ranges.values()}
    found: dict[object, Mistake] = {}
    for mistake in mistakes:
        spot = (mistake.place, mistake.key)
        if spot not in ranges:
            found[mistake] = mistake
        elif spot not in found:
            found[spot] = replace(mistake, message=f"{mistake.message}, drawn from this range")
    return list(found.values())


def _axes(case: Case, combination: Mapping[str, Located], fixed: Mapping[str, Located]) -> dict[str, Any]:
    """What distinguishes a setting from the others: its case's label, and what the case or a grid sets."""
    label = {CASE: case.label} if case.label is not None else {}
    return label | {key: value.plain() for key, value in combination.items() if key not in fixed}


def _hidden(violation: Violation, hidden: set[str], has_axes: bool) -> bool:
    """Whether something is missing or wrong only because the cases or axes that set it have mistakes themselves."""
    key = ".".join(map(str, violation.paths[0]))
    if violation.kind != "missing":
        return key in hidden
    return not has_axes or any(covers(key, other) or covers(other, key) for other in hidden)


def _may_have_validation(trial: dict[str, Any], violations: list[Violation]) -> bool:
    """Whether an invalid trial asks for a validation split; True if that cannot be determined."""
    data = trial.get("data")
    if any(violation.paths[0][:1] == ("data",) for violation in violations) or not isinstance(data, dict):
        return True
    return bool(data.get("validation"))
