"""`report.md`: the page for repositories."""

from collections.abc import Iterable, Sequence

from wsnet.report.page.contents import Block, Figure, Grid, Lines, Section
from wsnet.report.tables.markdown import escape, line

__all__ = ["page_markdown"]


def page_markdown(title: str, sections: Iterable[Section], *, ending: str = "png") -> str:
    """The sections as Markdown; figures are links to the files beside it.

    Args:
        title: the question.
        sections: of the page.
        ending: of the figures' files.
    """
    parts = [f"# {escape(title)}"]
    for section in sections:
        if section.title:
            parts.append(f"## {section.title}")
        parts += [_block(block, ending) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def _block(block: Block, ending: str) -> str:
    if isinstance(block, Lines):
        return "\n".join(f"- {escape(text)}" for text in block.lines) if block.are_items else "\n\n".join(block.lines)
    if isinstance(block, Grid):
        rules = ["---"] * block.labels + ["---:"] * (len(block.headings) - block.labels)
        return "\n".join(map(line, [block.headings, rules, *_linked(block)]))
    if isinstance(block, Figure):
        return f"![{block.name}]({block.name}.{ending})"
    fence = "````"
    return f"<details><summary>{block.summary}</summary>\n\n{fence}yaml\n{block.text.rstrip()}\n{fence}\n\n</details>"


def _linked(grid: Grid) -> Iterable[Sequence[str]]:
    for row, cells in enumerate(grid.rows):
        shown = [f"**{text}**" if (row, column) in grid.bold else text for column, text in enumerate(cells)]
        yield [
            f"[{text}]({grid.links[row, column]})" if (row, column) in grid.links else text
            for column, text in enumerate(shown)
        ]
