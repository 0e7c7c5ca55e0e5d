"""Tables as Markdown."""

from collections.abc import Iterable

from wsnet.report.tables.table import Table

__all__ = ["escape", "line", "markdown"]


def markdown(table: Table) -> str:
    """A table with its title, caption and note."""
    title = f"**{escape(table.title)}**"
    lines = [title, "", f"Sweep `{table.name}`. " + " ".join(table.caption)]
    if not table.labels:
        return "\n".join([*lines, "", "No trial has started yet.", ""])
    keys = table.keys or ("",)
    lines += ["", line([*keys, *table.columns]), line(["---"] * len(keys) + ["---:"] * len(table.columns))]
    for label, cells, bold in zip(table.labels, table.cells, table.bold, strict=True):
        shown = [f"**{cell}**" if is_bold else cell for cell, is_bold in zip(cells, bold, strict=True)]
        lines.append(line([*(label or ["all"]), *shown]))
    if table.verdicts:
        about, *said = table.verdicts
        lines += ["", about, "", *(f"- {escape(verdict)}" for verdict in said)]
    return "\n".join([*lines, *(text for note in table.note for text in ("", note)), ""])


def line(cells: Iterable[str]) -> str:
    """A row of a table."""
    return "| " + " | ".join(map(escape, cells)) + " |"


def escape(text: str) -> str:
    """Text for a cell: on one line, without the separator of cells."""
    return " ".join(text.replace("|", "\\|").split())
