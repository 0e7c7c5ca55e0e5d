"""The order of rows and columns: numbers ascend, words stay as in the sweep file, and groups of rows stay together."""

import json
from collections.abc import Iterable, Sequence

__all__ = ["columns_in_order", "rows_in_order"]

Label = tuple[str | None, ...]


def columns_in_order(columns: Iterable[str | None]) -> tuple[str | None, ...]:
    """Distinct columns, given as JSON text in the order of the sweep file; those without the key come last."""
    return tuple(sorted(ranks := _ranks(list(columns)), key=ranks.__getitem__))


def rows_in_order(rows: Iterable[Label]) -> tuple[Label, ...]:
    """Distinct rows, in the order of the sweep file, sorted by their first key, then by their second, and so on."""
    distinct = list(dict.fromkeys(rows))
    ranks = [_ranks(values) for values in zip(*distinct, strict=True)]
    return tuple(sorted(distinct, key=lambda row: [rank[value] for rank, value in zip(ranks, row, strict=True)]))


def _ranks(values: Sequence[str | None]) -> dict[str | None, int]:
    distinct = [value for value in dict.fromkeys(values) if value is not None]
    numbers = {value: json.loads(value) for value in distinct if _is_number(value)}
    if len(numbers) == len(distinct):
        distinct.sort(key=numbers.__getitem__)
    ordered: list[str | None] = [*distinct, None] if len(numbers) == len(distinct) else list(dict.fromkeys(values))
    return {value: rank for rank, value in enumerate(ordered) if value in values}


def _is_number(text: str) -> bool:
    try:
        value = json.loads(text)
    except ValueError:  # A setting's identity.
        return False
    return isinstance(value, int | float) and not isinstance(value, bool)
