"""`report.html`: the page in one file, without anything from the network."""

import base64
import re
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files

from wsnet.report.page.contents import Block, Code, Figure, Grid, Lines, Section

__all__ = ["page_html"]

_NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(e[-+]?\d+)?")

_CAPTIONS = {
    "-strip": "every seed of each setting, and the medians",
    "-lines": "the same as lines",
    "-scatter": "every candidate against what was searched",
    "-curves": "learning curves: medians over the seeds",
    "-time": "against training time",
    "-parameters": "against the number of parameters",
    "-rungs": "how long each setting was trained before the scheduler stopped it",
}


def page_html(title: str, sections: Iterable[Section], figures: Mapping[str, bytes]) -> str:
    """The sections as HTML.

    Args:
        title: the question.
        sections: of the page.
        figures: by name, each an SVG or a PNG.
    """
    here = files(__package__)
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    body = "\n".join(_section(section, figures) for section in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
<script>
{script}</script>
</body>
</html>
"""


def _section(section: Section, figures: Mapping[str, bytes]) -> str:
    heading = f"<h2>{escape(section.title)}</h2>\n" if section.title else ""
    return f"<section>\n{heading}{''.join(_block(block, figures) for block in section.blocks)}</section>"


def _block(block: Block, figures: Mapping[str, bytes]) -> str:
    if isinstance(block, Lines):
        return _lines(block)
    if isinstance(block, Grid):
        return _grid(block)
    if isinstance(block, Figure):
        return _figure(block.name, figures[block.name])
    assert isinstance(block, Code)
    return f"<details><summary>{escape(block.summary)}</summary><pre>{escape(block.text)}</pre></details>\n"


def _lines(block: Lines) -> str:
    tag, kind = ("li" if block.are_items else "p"), ' class="small"' if block.are_small else ""
    lines = "\n".join(f"<{tag}{kind}>{escape(line)}</{tag}>" for line in block.lines)
    return f"<ul>\n{lines}\n</ul>\n" if block.are_items else f"{lines}\n"


def _grid(grid: Grid) -> str:
    kinds = [""] * grid.labels + [' class="value"'] * (len(grid.headings) - grid.labels)
    heads = "".join(
        f'<th scope="col"{kind}><button type="button">{escape(text)}</button></th>'
        for text, kind in zip(grid.headings, kinds, strict=True)
    )
    rows = "\n".join(_row(grid, index) for index in range(len(grid.rows)))
    return f'<div class="wide"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>\n'


def _row(grid: Grid, index: int) -> str:
    cells = []
    for column, text in enumerate(grid.rows[index]):
        shown = escape(text)
        if (link := grid.links.get((index, column))) is not None:
            shown = f'<a href="{escape(link, quote=True)}">{shown}</a>'
        if (index, column) in grid.bold:
            shown = f"<strong>{shown}</strong>"
        number = _NUMBER.match(text)
        order = f' data-n="{number[0].replace(",", "")}"' if number is not None and number.end() < len(text) else ""
        cells.append(f"<th scope=row{order}>{shown}</th>" if column < grid.labels else f"<td{order}>{shown}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _figure(name: str, data: bytes) -> str:
    kind = "image/png" if data.startswith(b"\x89PNG") else "image/svg+xml"
    source = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    about = escape(next((text for kind, text in _CAPTIONS.items() if kind in name), "the table as a figure"))
    return f'<figure><img src="{source}" alt="{about}"><figcaption class="small">{about}</figcaption></figure>\n'
