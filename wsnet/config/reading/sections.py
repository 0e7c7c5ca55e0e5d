"""A sweep file's own sections, read on past their mistakes, so that one in `seeds` does not hide those in `base`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from wsnet.config.errors import Keys, Mistake
from wsnet.config.reading.messages import Finding, explain
from wsnet.config.reading.overrides import Override, traced
from wsnet.config.reading.yaml_lines import Source
from wsnet.config.sweep import SweepConfig

__all__ = ["Sections", "read_sections"]


@dataclass(frozen=True)
class Sections:
    """What could be read of a sweep's own sections.

    Attributes:
        config: the sweep; what had a mistake is at its default.
        mistakes: those mistakes.
        has_base: whether `base` could be read.
        has_axes: whether `cases` and `grid` could be read whole.
    """

    config: SweepConfig
    mistakes: list[Mistake]
    has_base: bool
    has_axes: bool


def read_sections(data: dict[str, Any], source: Source, overrides: Mapping[Keys, Override]) -> Sections:
    """Read the sections, leaving out what has a mistake.

    Args:
        data: the file's data, with what the command line changes.
        source: the file.
        overrides: what the command line changed.
    """
    mistakes: list[Mistake] = []
    left_out: set[str | int] = set()
    while True:
        try:
            config = SweepConfig.model_validate(data)
            return Sections(config, mistakes, "base" not in left_out, not left_out & {"cases", "grid"})
        except ValidationError as error:
            findings = explain(error, SweepConfig, data)
        mistakes += traced(findings, source, (), overrides)
        data = _without(data, findings)
        left_out |= {finding.paths[0][0] for finding in findings}


def _without(data: dict[str, Any], findings: Iterable[Finding]) -> dict[str, Any]:
    """The data without the sections that the findings are in; what a sweep can not be without is replaced."""
    data = dict(data)
    for section, *rest in (finding.paths[0] for finding in findings):
        if section == "cases" and rest and isinstance(rest[0], int):  # The other cases keep their positions.
            data["cases"] = [{} if index == rest[0] else case for index, case in enumerate(data["cases"])]
        elif section == "name":
            data["name"] = "unnamed"
        elif section == "base":
            data["base"] = {}
        else:
            data.pop(str(section), None)
    return data
