"""What probably caused an error in a file's YAML."""

from ruamel.yaml.error import MarkedYAMLError

__all__ = ["way_out"]

_OPENED = {"while parsing a flow mapping": "'{'", "while parsing a flow sequence": "'['"}
"""By what was parsed: the bracket that began it."""


def way_out(error: MarkedYAMLError) -> str:
    """What to look at or to change, to follow the parser's own words; empty if nothing is known."""
    problem, context = error.problem or "", error.context or ""
    if "\\t" in problem:
        return "; indent with spaces, not with tabs"
    if error.context_mark is not None:
        line = error.context_mark.line + 1
        if context in _OPENED:
            return f"; is the {_OPENED[context]} of line {line} closed?"
        if context == "while scanning a quoted scalar":
            return f"; is the quote of line {line} closed?"
    if problem.startswith("mapping values are not allowed"):
        if ": " in _before(error):
            return "; a text with a colon needs quotes"
        return "; is this line indented as far as the other keys of its section?"
    if problem.startswith("expected <block end>"):
        return "; is this line indented as far as the other keys of its section?"
    return ""


def _before(error: MarkedYAMLError) -> str:
    """The line of an error up to it."""
    mark = error.problem_mark
    buffer = None if mark is None else getattr(mark, "buffer", None)
    if mark is None or buffer is None:
        return ""
    return str(buffer[: mark.pointer].rpartition("\n")[2])
