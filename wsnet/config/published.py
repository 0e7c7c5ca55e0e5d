"""Published results: the tables of four systems' READMEs, and which of their rows a sweep's cell is compared with."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import Field

from wsnet.config.base import Config
from wsnet.config.errors import did_you_mean

__all__ = ["CASE", "PublishedConfig", "PublishedRow", "columns", "misnamed", "published_rows", "rows_of", "settled"]

CASE = "case"
"""The label of a case, among the axes of its settings. It is not a key of a trial and not part of its identity."""

_ALIASES: Mapping[str, Mapping[str, Any]] = {
    "dataset": {
        "CIFAR-10": "cifar10",
        "CIFAR-100": "cifar100",
        "MNIST": "mnist",
        "FashionMNIST": "fashion_mnist",
        "ImageNet": "imagenet",
    },
    "weight_reparam": {"ws": "standardized", "wn": "normalized"},
    "extra.dropout": {"yes": 0.3},
    "extra.first_relu": {"yes": False, "no": True},  # wsnet's option is to remove it.
    "extra.last_bn": {"yes": True, "no": False},
    "extra.scheduler": {"": "multistep"},  # Only deviations from it are published.
    "extra.widening_factor": {"4": 64},  # wsnet's option is the width itself, 16 without widening.
}
"""By column: published values, and the values of wsnet's options that they stand for. All others are the same."""

_EXTRA = "extra"


class PublishedConfig(Config):
    """Which published numbers are shown beside which cells of a sweep's table."""

    where: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    """Column of the published numbers to the value that it must have; null if it must be empty."""
    match: dict[str, str] = Field(default_factory=dict)
    """Column to the axis whose value in a cell it must equal; it must be empty where a cell does not have that axis.
    The axis may be `case`, or a section. A section that is set whole has its name as value (`cosine` for
    `optim.schedule: {name: cosine}`); otherwise its value is the key that the cell sets in it (for `data.augment`,
    `data.augment.cutout.size: 16` gives `cutout`)."""


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One published number.

    Attributes:
        id: identifies the row.
        fields: column to text as published, empty where nothing is stated; settings appear as `extra.<key>`.
    """

    id: str
    fields: Mapping[str, str]

    @property
    def source(self) -> str:
        """Its source: `README` (its own result), `paper` (as quoted in the README) or `repository` (the authors')."""
        source = self.fields["extra.source"]
        return "README" if source == "readme" else source

    @property
    def statistic(self) -> str:
        """Statistic over its runs, such as `median`; empty if not stated."""
        return self.fields["statistic"]

    @property
    def runs(self) -> int | None:
        """Number of runs; None if not stated."""
        return int(self.fields["runs"]) if self.fields["runs"] else None

    @property
    def is_accuracy(self) -> bool:
        """Whether the published number is an accuracy rather than an error."""
        return self.fields["metric"].endswith("_acc")

    def error(self, metric: str) -> Decimal | None:
        """The error in percent, with the published digits; None if the number is not of this metric.

        Args:
            metric: one of wsnet's metrics on test images, such as `test/top1_error`.
        """
        split, _, name = metric.partition("/")
        if not split.startswith("test") or self.fields["metric"].replace("_acc", "_error") != name:
            return None
        value = Decimal(self.fields["value"])
        return 100 - value if self.is_accuracy else value


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """Every published number: 260 of the READMEs, 12 of the Online Normalization authors' repository."""
    text = files("wsnet.config").joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(_row(row) for row in csv.DictReader(io.StringIO(text)))


@cache
def columns() -> tuple[str, ...]:
    """Every column, including each `extra.<key>`."""
    return tuple(dict.fromkeys(column for row in published_rows() for column in row.fields))


def misnamed(link: PublishedConfig) -> list[tuple[tuple[str, str], str]]:
    """Columns in a link that do not exist and values that no row has: (section, column) and message of each."""
    found = []
    for section, column in [("where", column) for column in link.where] + [("match", column) for column in link.match]:
        if column not in columns():
            found.append(((section, column), f"unknown column{did_you_mean(column, columns())}"))
        elif section == "where" and column in link.match:
            found.append(((section, column), "is in both where and match; keep one of them"))
        elif section == "where" and not any(_equal(column, row, link.where[column]) for row in published_rows()):
            values = dict.fromkeys(row.fields.get(column, "") or "null" for row in published_rows())
            near = did_you_mean(link.where[column], values)
            found.append(((section, column), f"no published number has {link.where[column]!r} there{near}"))
    return found


def rows_of(link: PublishedConfig, axes: Mapping[str, Any]) -> list[PublishedRow]:
    """The rows that a cell is compared with.

    Args:
        link: the sweep's `report.published`.
        axes: dotted key to value, of the cell.
    """
    return [
        row
        for row in _selected(link)
        if all(_equal(column, row, _value_at(axes, key)) for column, key in link.match.items())
    ]


def settled(link: PublishedConfig, axes: Iterable[str], shared: Mapping[str, Any]) -> PublishedConfig:
    """The link with axes that do not vary moved from `match` to `where`, since the cells of a table do not show them.

    Args:
        link: as the sweep file has it.
        axes: dotted keys that vary.
        shared: dotted key to value, of the keys that are set but do not vary.
    """
    varying = list(axes)
    fixed = {
        column: _value_at(shared, key)
        for column, key in link.match.items()
        if not any(_within(axis, key) for axis in varying)
    }
    match = {column: key for column, key in link.match.items() if column not in fixed}
    return PublishedConfig(where={**link.where, **fixed}, match=match)


def _row(row: dict[str, str]) -> PublishedRow:
    extra = dict(part.split("=", 1) for part in row.pop(_EXTRA).split(";"))
    identity = row.pop("id")
    return PublishedRow(id=identity, fields={**row, **{f"{_EXTRA}.{key}": value for key, value in extra.items()}})


def _selected(link: PublishedConfig) -> list[PublishedRow]:
    return [row for row in published_rows() if all(_equal(column, row, v) for column, v in link.where.items())]


def _equal(column: str, row: PublishedRow, value: Any) -> bool:
    """Whether a row has this value in a column; None means that it is empty."""
    text, known = row.fields.get(column, ""), _ALIASES.get(column, {})
    if value is None or (not text and "" not in known):
        return value is None and not text
    published = [text, known[text]] if text in known else [text, _plain(text)]
    return any(isinstance(value, bool) == isinstance(other, bool) and value == other for other in published)


def _value_at(axes: Mapping[str, Any], key: str) -> Any:
    """A cell's value on an axis; for a section, its name if set whole, else the keys set in it. None if not set."""
    if key in axes:
        value = axes[key]
        return value.get("name") if isinstance(value, dict) else value
    inside = {axis[len(key) + 1 :].partition(".")[0] for axis in axes if _within(axis, key)}
    return "+".join(sorted(inside)) or None


def _within(key: str, section: str) -> bool:
    return key == section or key.startswith(f"{section}.")


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
