"""`report.compare` against the settings of its sweep: which rows it means, and what is wrong with it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from wsnet.config.compare import ALPHA, CompareConfig, Declared, smallest_rank_sum_p
from wsnet.config.errors import Keys, Mistake, counted, did_you_mean
from wsnet.config.published import CASE
from wsnet.config.reading.checked_sweep import Setting, varying
from wsnet.config.reading.keys import covers
from wsnet.config.reading.sweep_file import SweepFile
from wsnet.config.reading.table_rows import ABSENT, Row, as_text, columns_of, equal, rows_of_table

__all__ = ["declared", "mistakes_of_compare"]

_COMPARE: Keys = ("report", "compare")


def mistakes_of_compare(file: SweepFile) -> list[Mistake]:
    """Keys in `report.compare` that no trial has."""
    compare = file.config.report.compare
    found = [] if compare is None else [(path, key) for path, wanted in _mappings(compare) for key in wanted]
    has_labels = any(CASE in case for case in file.config.cases)
    return [
        file.mistake((*path, key), file.keys.unknown(key))
        for path, key in found
        if key not in file.keys and not (key == CASE and has_labels)
    ]


def declared(file: SweepFile, settings: list[Setting]) -> tuple[Declared | None, list[Mistake], list[str]]:
    """The comparisons that `report.compare` means.

    Args:
        file: the sweep's file.
        settings: its settings, each once.

    Returns:
        the comparisons, None if there are none; every mistake; and a warning where the command line fixes a key that
        the comparisons name, so that they are left out, where a column lacks the baseline, or where there are too few
        seeds to decide any of them.
    """
    compare = file.config.report.compare
    if compare is None:
        return None, [], []
    named = [key for _, wanted in _mappings(compare) for key in wanted]
    if fixed := [one for one in file.fixed if any(covers(one, key) or covers(key, one) for key in named)]:
        text = f"the comparisons are left out, since --set fixes {', '.join(fixed)}"
        return None, [], [str(file.mistake(_COMPARE, text))]
    axes = varying(settings)
    columns = columns_of(file.config, axes)
    over = () if file.config.report.select is None else file.config.report.select.over
    keys = [axis for axis in axes if axis != columns and axis not in over]
    rows = rows_of_table(settings, keys, columns)
    wrong = _wrong_keys(compare, settings, columns, over) or [
        *_wrong_baseline(compare, rows, keys),
        *_wrong_settings(compare, rows),
        *_wrong_columns(compare, rows),
    ]
    if wrong:
        return None, [file.mistake((*_COMPARE, *path), text) for path, text in wrong], []
    found = _resolved(compare, rows, keys)
    if found.count == 0:
        return None, [file.mistake(_COMPARE, "the baseline has no column in common with a row to compare it with")], []
    return found, [], [*_of_missing_baseline(file, found, columns), *_of_few_seeds(file, found.count)]


def _of_missing_baseline(file: SweepFile, found: Declared, columns: str | None) -> list[str]:
    """A warning where a column has rows to compare, but not the baseline."""
    if not found.without_baseline:
        return []
    there = ", ".join("no value" if value is None else _shown(json.loads(value)) for value in found.without_baseline)
    text = f"nothing is compared at {columns} {there}, where the baseline has no setting"
    return [str(file.mistake(_COMPARE, text))]


def _of_few_seeds(file: SweepFile, comparisons: int) -> list[str]:
    """A warning where not even seeds without any overlap could decide a comparison."""
    seeds = len(file.config.seed_list)
    smallest = smallest_rank_sum_p(seeds, seeds)
    if comparisons * smallest <= ALPHA:
        return []
    enough = next(n for n in count(seeds) if comparisons * smallest_rank_sum_p(n, n) <= ALPHA)
    what = "the comparison" if comparisons == 1 else f"any of the {comparisons} comparisons"
    text = (
        f"{counted(seeds, 'seed')} cannot decide {what}: the smallest p-value of so few against each other is "
        f"{smallest:.2g}"
    )
    if comparisons > 1 and smallest < 1:
        text += f", {min(1.0, comparisons * smallest):.2g} by Holm's correction"
    return [str(file.mistake(_COMPARE, f"{text}; {ALPHA} takes at least {enough} seeds, or fewer comparisons"))]


def _resolved(compare: CompareConfig, rows: Sequence[Row], keys: Sequence[str]) -> Declared:
    """The comparisons of a `report.compare` without mistakes."""
    baseline = next(row for row in rows if row.fits(compare.against))
    others = [row for row in rows if row is not baseline]
    if compare.settings is not None:
        others = [row for row in others if any(row.fits(wanted) for wanted in compare.settings)]
    at = None if compare.at is None else tuple(map(as_text, next(iter(compare.at.values()))))
    there = dict.fromkeys(column for row in others for column in row.settings if at is None or column in at)
    pairs = {  # Each once, even if it stands in several rows.
        (column, frozenset(identities))
        for row in others
        for column, identities in row.settings.items()
        if column in baseline.settings and column in there and identities != baseline.settings[column]
    }
    return Declared(
        keys=tuple(keys),
        against=baseline.label,
        settings=None if compare.settings is None else tuple(row.label for row in others),
        at=at,
        count=len(pairs),
        without_baseline=tuple(column for column in there if column not in baseline.settings),
        written=compare.model_dump(mode="json", exclude_none=True),
    )


def _mappings(compare: CompareConfig) -> list[tuple[Keys, Mapping[str, Any]]]:
    """Path to mapping, of all that name keys."""
    rows = [(("settings", index), wanted) for index, wanted in enumerate(compare.settings or ())]
    at = [] if compare.at is None else [(("at",), compare.at)]
    return [((*_COMPARE, *path), wanted) for path, wanted in [(("against",), compare.against), *rows, *at]]


def _wrong_keys(
    compare: CompareConfig, settings: Iterable[Setting], columns: str | None, over: Sequence[str]
) -> list[tuple[Keys, str]]:
    """Keys that do not tell rows apart, and one in `at` that does not make the columns."""
    known = dict.fromkeys(key for setting in settings for place in setting.places for key in place)
    names = [key for key in known if key != columns and key not in over]
    found: list[tuple[Keys, str]] = []
    for path, wanted in _mappings(compare):
        for key in wanted:
            where = (*path[len(_COMPARE) :], key)
            if where[0] == "at":
                if columns is None:
                    found.append((where, "this table has no columns; name an axis in report.columns, or leave it out"))
                elif key != columns:
                    found.append((where, f"must be the columns' key, {columns!r}"))
            elif key == columns:
                found.append((where, "makes the columns, not the rows; choose columns with report.compare.at"))
            elif key in over:
                found.append((where, "is chosen over (report.select.over), so it does not tell rows apart"))
            elif not any(covers(axis, key) for axis in names):
                found.append(
                    (where, f"no case and no grid sets it, so rows do not differ in it{did_you_mean(key, names)}")
                )
    return found


def _wrong_columns(compare: CompareConfig, rows: Iterable[Row]) -> list[tuple[Keys, str]]:
    there = list(dict.fromkeys(column for row in rows for column in row.settings if column is not None))
    return [
        (("at", key, index), f"no column is {_shown(value)}; there are: {', '.join(there)}")
        for key, values in (compare.at or {}).items()
        for index, value in enumerate(values)
        if as_text(value) not in there
    ]


def _wrong_baseline(compare: CompareConfig, rows: Sequence[Row], keys: Sequence[str]) -> list[tuple[Keys, str]]:
    """Values of the baseline that no row has, or that several have."""
    wanted, path = compare.against, ("against",)
    if wrong := _wrong_values(wanted, path, rows):
        return wrong
    found = [row for row in rows if row.fits(wanted)]
    if found and all(row.settings == found[0].settings for row in found):  # One, even if it stands in several rows.
        return []
    if not found:
        return [(path, "no row has all of these values")]
    differ = [key for key in keys if not all(equal(row.value(key), found[0].value(key)) for row in found)]
    named = "; ".join(_named(row, differ) for row in found[:5]) + ("; ..." if len(found) > 5 else "")
    return [(path, f"must mean one row, but {len(found)} rows fit: {named}; {_what_to_add(found, differ)}")]


def _wrong_settings(compare: CompareConfig, rows: Sequence[Row]) -> list[tuple[Keys, str]]:
    """Rows that are the baseline, and values that no row has; a baseline without any other row."""
    if len(rows) == 1:
        return [(("against",), "is the only row, so there is nothing to compare it with")]
    found: list[tuple[Keys, str]] = []
    for index, wanted in enumerate(compare.settings or ()):
        path = ("settings", index)
        fitting = [row for row in rows if row.fits(wanted)]
        if wrong := _wrong_values(wanted, path, rows):
            found += wrong
        elif not fitting:
            found.append((path, "no row has all of these values"))
        elif any(row.fits(compare.against) for row in fitting):
            what = "is the baseline itself" if len(fitting) == 1 else "means the baseline, too"
            found.append((path, f"{what} (report.compare.against); name the rows that are compared with it"))
    return found


def _wrong_values(wanted: Mapping[str, Any], path: Keys, rows: Iterable[Row]) -> list[tuple[Keys, str]]:
    found: list[tuple[Keys, str]] = []
    for key, value in wanted.items():
        there = [row.value(key) for row in rows]
        if not any(equal(value, other) for other in there):
            known = dict.fromkeys(_shown(other) for other in there if other is not ABSENT)
            found.append(((*path, key), f"no row has {_shown(value)} there{did_you_mean(_shown(value), known)}"))
    return found


def _what_to_add(found: Sequence[Row], keys: Sequence[str]) -> str:
    """Advice that makes the first of several rows the only one."""
    first, *others = found
    values = {key: value for key in keys if (value := first.value(key)) is not ABSENT}
    differ = {key: sum(not equal(row.value(key), value) for row in others) for key, value in values.items()}
    needed = [key for key in values if differ[key] == len(others)][:1] or [key for key in values if differ[key]]
    text = ", ".join(f"{key}: {_shown(values[key])}" for key in needed)
    return f"add {text} to mean the first" if text else "add a key that tells them apart"


def _named(row: Row, keys: Sequence[str]) -> str:
    values = [f"{key}={_shown(value)}" for key in keys if (value := row.value(key)) is not ABSENT]
    return ", ".join(values) or f"one without {' and '.join(keys)}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
