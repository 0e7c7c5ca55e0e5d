"""Tables as LaTeX, for the booktabs package."""

import re
from collections.abc import Iterable

from wsnet.report.names import axis_name, metric_name
from wsnet.report.tables.table import Table

__all__ = ["latex"]

_ESCAPES = {
    "[": "{[}",  # A row that begins with a bracket would otherwise be the option of the line break before it.
    "]": "{]}",
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",  # noqa: RUF001
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}

_KEY = re.compile(r"\b(?:data|model|optim|train|execution)(?:\.\w+)+|\b(?:train|test|validation)(?:_ema)?/\w+")
"""A key or a metric in a caption."""

_CELL = re.compile(r"(\S+(?: ± \S+)?)( \[[^]]*\](?: n=\d+(?: of \d+)?)?)?( at [^(]*)?( \(.*)?")
"""A value, its range, what was chosen for it, and published numbers."""

_BREAK = r" \\ \scriptsize "
_WITH_RANGE = r"\providecommand{\withrange}[2]{\begin{tabular}[t]{@{}r@{}}#1" + _BREAK + r"#2\end{tabular}}"
"""A cell of two lines, the second one smaller."""


def latex(table: Table) -> str:
    r"""A `tabular` in a `table` environment, with caption and label; it needs `\usepackage{booktabs}`.

    A cell is bold where the verdicts allow it (see `Verdicts.may_be_bold`).
    """
    lines = [
        "% needs \\usepackage{booktabs}",
        _WITH_RANGE,
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_escape(_caption(table))}}}",
        rf"  \label{{tab:{re.sub('[^A-Za-z0-9-]+', '-', f'{table.name}-{table.metric}')}}}",
        rf"  \begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"    \toprule",
        *_headings(table),
        r"    \midrule",
    ]
    for name, cells, bold in zip(table.names, table.cells, table.bold, strict=True):
        shown = [_cell(cell, bold=is_bold) for cell, is_bold in zip(cells, bold, strict=True)]
        lines.append(_joined([_escape(name), *shown]))
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table}", ""])


def _caption(table: Table) -> str:
    """Title and caption, with names instead of keys: what the headings say is left out."""
    end = "" if table.title.endswith(("?", "!", ".")) else "."
    sentences = (_KEY.sub(_named, sentence) for sentence in table.caption if not sentence.startswith("Columns: "))
    return " ".join([f"{table.title}{end}", *(sentence[:1].upper() + sentence[1:] for sentence in sentences)])


def _named(found: re.Match[str]) -> str:
    return metric_name(found[0]) if "/" in found[0] else axis_name(found[0])


def _cell(text: str, *, bold: bool) -> str:
    """A cell: below the value, and smaller, its range and what was chosen for it, so that a column stays narrow."""
    parts = _CELL.fullmatch(text)
    if parts is None:
        return rf"\textbf{{{_escape(text)}}}" if bold else _escape(text)
    value, *below = (_escape(part.strip()) for part in parts.groups() if part)
    value = rf"\textbf{{{value}}}" if bold else value
    return rf"\withrange{{{value}}}{{{_BREAK.join(below)}}}" if below else value


def _headings(table: Table) -> list[str]:
    """The columns' values below the name of their axis, or the names of metrics and facts."""
    if table.columns_key is None:
        names = [metric_name(column) if "/" in column else column.replace("_", " ") for column in table.columns]
        return [_line(["", *names])]
    above = rf"    & \multicolumn{{{len(table.columns)}}}{{c}}{{{_escape(axis_name(table.columns_key))}}} \\"
    return [above, rf"    \cmidrule(lr){{2-{len(table.columns) + 1}}}", _line(["", *table.columns])]


def _line(cells: Iterable[str]) -> str:
    return _joined(map(_escape, cells))


def _joined(cells: Iterable[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)
