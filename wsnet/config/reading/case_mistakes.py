"""Mistakes that come from how cases and grids are combined, with the way out."""

from dataclasses import replace

from wsnet.config.errors import Keys, Mistake
from wsnet.config.reading.axes import Case
from wsnet.config.reading.keys import covers, takes
from wsnet.config.reading.located import Located
from wsnet.config.reading.messages import Violation

__all__ = ["located"]


def located(violation: Violation, tree: Located, case: Case) -> Mistake:
    """A violation in one of a case's trials as a mistake at its place in the file.

    Args:
        violation: the rule that the trial breaks.
        tree: the trial.
        case: its case.
    """
    mistake = violation.located_in(tree)
    hint = "".join(_of_several_values(path, case) for path in violation.paths) or _of_common_axis(violation, case)
    return replace(mistake, message=f"{mistake.message}{hint}")


def _of_several_values(path: Keys, case: Case) -> str:
    """Where the values go that a case lists for a key that takes only one."""
    key = ".".join(map(str, path))
    value = case.constants.get(key)
    if value is None or not isinstance(value.value, list) or takes(key, tuple):
        return ""
    return f"; several values belong under this case's grid: {{grid: {{{key}: [...]}}}}"


def _of_common_axis(violation: Violation, case: Case) -> str:
    """Where an axis goes that only some of the names, which the cases or the grid vary, take."""
    section, key = (".".join(map(str, path)) for path in (violation.paths[0][:-1], violation.paths[0]))
    axis = case.axes.get(key)
    varied = any(covers(other, f"{section}.name") for other in (*case.constants, *case.axes))
    if not violation.takers or not varied or not isinstance(axis, list) or axis[0].key != f"grid.{key}":
        return ""
    name = violation.takers[0]
    return f"; put it into the grid of a case that does: {{{section}.name: {name}, grid: {{{key}: [...]}}}}"
