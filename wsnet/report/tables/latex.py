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


def latex(table: Table) -> str:
    r"""A `tabular` in a `table` environment, with caption and label; it needs `\usepackage{booktabs}`.

    A cell is bold where the verdicts allow it (see `Verdicts.may_be_bold`).
    """
    units = {metric_name(table.metric)} if table.columns_key is not None else set()
    about = f"{table.title.rstrip('.')}: {', '.join(units)}. " if units else f"{table.title.rstrip('.')}. "
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_escape(about + ' '.join(table.caption))}}}",
        rf"  \label{{tab:{re.sub('[^A-Za-z0-9-]+', '-', f'{table.name}-{table.metric}')}}}",
        rf"  \begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"    \toprule",
        *_headings(table),
        r"    \midrule",
    ]
    for name, cells, bold in zip(table.names, table.cells, table.bold, strict=True):
        shown = [rf"\textbf{{{_escape(cell)}}}" if b else _escape(cell) for cell, b in zip(cells, bold, strict=True)]
        lines.append(_joined([_escape(name), *shown]))
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table}", ""])


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
