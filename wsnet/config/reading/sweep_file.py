"""A sweep file's own sections, read despite their mistakes, so that one in `seeds` does not hide those in `base`."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from wsnet.called import called
from wsnet.config.errors import ConfigError, Keys, Mistake
from wsnet.config.reading.command_line import read_command_line
from wsnet.config.reading.indentation import indented
from wsnet.config.reading.keys import NOT_AN_AXIS, TrialKeys
from wsnet.config.reading.located import Located
from wsnet.config.reading.messages import validated
from wsnet.config.reading.yaml_lines import YamlFile
from wsnet.config.sweep import SweepConfig

__all__ = ["SweepFile", "read_sections"]


@dataclass(frozen=True)
class SweepFile:
    """What could be read of a sweep file, except its trials.

    Attributes:
        config: the sweep; a section that had a mistake is at its default.
        tree: the file with the command line's changes, each value with its place.
        keys: the dotted keys that its cases, grids and report may name.
        fixed: dotted key to value, of what the command line fixes in every trial.
        mistakes: of the file's YAML, of the command line, and of the sections.
        has_base: whether `base` could be read.
        has_axes: whether `cases` and `grid` could be read completely.
        has_report: whether `report` could be read.
    """

    config: SweepConfig
    tree: Located
    keys: TrialKeys
    fixed: dict[str, Located]
    mistakes: list[Mistake]
    has_base: bool
    has_axes: bool
    has_report: bool

    @property
    def base(self) -> Located:
        """The trial that all settings share."""
        base = self.tree.at(("base",))
        if not self.has_base or base is None:
            return Located({}, self.tree.place, "base")
        return replace(base, key=base.key or "base")

    def mistake(self, path: Keys, message: str) -> Mistake:
        """A mistake at a path of the file."""
        return self.tree.spot(path).mistake(message)


def read_sections(file: YamlFile, pairs: list[str]) -> SweepFile:
    """Read a file's sections, leaving out those with mistakes.

    Args:
        file: the file.
        pairs: `key=value` pairs of `--set`.

    Raises:
        ConfigError: it is the file of a trial.
    """
    if {"data", "model", "train"} <= file.data.keys() and "base" not in file.data:
        text = f"this is the file of one trial, not a sweep file; train it with `{called('train')} {file.name}`"
        raise ConfigError([Mistake(f"{file.name}:1", "", text)])
    keys = TrialKeys.of(file.data, pairs)
    command_line = read_command_line(pairs, keys, of_sweep=True)
    tree, misplaced = indented(file.tree, keys)
    for path, value in command_line.sweep.items():
        tree = tree.put(path, value)
    mistakes = file.mistakes + command_line.mistakes + misplaced
    left_out: set[str | int] = set()
    data = tree.plain()
    config, wrong = validated(SweepConfig, data)
    while config is None:
        mistakes += [violation.located_in(tree) for violation in wrong]
        sections = [path for violation in wrong for path in (violation.paths[0], violation.meant) if path is not None]
        left_out |= {section for section, *_ in sections}
        data = _without(data, sections)
        config, wrong = validated(SweepConfig, data)
    mistakes += [tree.spot(("base", key)).mistake(NOT_AN_AXIS[key]) for key in NOT_AN_AXIS if key in config.base]
    return SweepFile(
        config=config,
        tree=tree,
        keys=keys,
        fixed=command_line.trial,
        mistakes=mistakes,
        has_base="base" not in left_out,
        has_axes=not left_out & {"cases", "grid"},
        has_report="report" not in left_out,
    )


def _without(data: dict[str, Any], paths: Iterable[Keys]) -> dict[str, Any]:
    """The data without the wrong sections; required ones are replaced by placeholders."""
    data = dict(data)
    for section, *rest in paths:
        if section == "cases" and rest and isinstance(rest[0], int):  # The other cases keep their positions.
            data["cases"] = [{} if index == rest[0] else case for index, case in enumerate(data["cases"])]
        elif section == "name":
            data["name"] = "unnamed"
        elif section == "base":
            data["base"] = {}
        else:
            data.pop(str(section), None)
    return data
