from io import StringIO

from rich.console import Console

from wsnet.sweep.formatting import Side, print_table

COLUMNS: dict[str, Side] = {"setting": "left", "MACs": "right"}


def printed(rows: list[list[str]], width: int) -> str:
    console = Console(file=StringIO(), width=width)
    print_table(COLUMNS, rows, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_large_table_looks_like_the_same_small_tables() -> None:
    rows = [[f"bn-[b{number}]", "1 G"] for number in range(1000, 1150)]
    head, *small = printed(rows[:50], width=80).splitlines()
    for first in (50, 100):
        small += printed(rows[first : first + 50], width=80).splitlines()[1:]
    assert printed(rows, width=80).splitlines() == [head, *small]
    assert head == " setting     MACs " and small[0] == " bn-[b1000]   1 G "


def test_a_large_table_is_not_cut_to_the_terminal() -> None:
    rows = [["x" * 60, str(number)] for number in range(150)]
    lines = printed(rows, width=40).splitlines()
    assert len(lines) == 151 and all("x" * 60 in line for line in lines[1:])
