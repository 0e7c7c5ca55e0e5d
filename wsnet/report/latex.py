"""Tables as LaTeX, for the booktabs package."""

import re
from collections.abc import Iterable

from wsnet.report.table import Table

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
    keys = table.keys or ("",)
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_escape(table.title)} {_escape(' '.join(table.caption))}}}",
        rf"  \label{{tab:{re.sub('[^A-Za-z0-9-]', '-', table.name)}}}",
        rf"  \begin{{tabular}}{{{'l' * len(keys)}{'r' * len(table.columns)}}}",
        r"    \toprule",
        _line([*keys, *table.columns]),
        r"    \midrule",
    ]
    for label, cells, bold in zip(table.labels, table.cells, table.bold, strict=True):
        shown = [rf"\textbf{{{_escape(cell)}}}" if b else _escape(cell) for cell, b in zip(cells, bold, strict=True)]
        lines.append(_joined([*map(_escape, label or ("all",)), *shown]))
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table}", ""])


def _line(cells: Iterable[str]) -> str:
    return _joined(map(_escape, cells))


def _joined(cells: Iterable[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)
