"""Every published parameter count, to the exact parameter."""

from functools import cache
from typing import Any

import pytest

from tests.models.architectures import Row, config_of, rows
from wsnet.config.architectures import ModelConfig
from wsnet.models import parameter_count

UNMATCHED: dict[str, str] = {}
"""Rows (as `str(row)`) that cannot be matched, and why."""

_count = cache(parameter_count)


def every_sixth_quickly() -> list[Any]:
    """All rows as parameters, five of six of them marked slow."""
    return [pytest.param(r, marks=[pytest.mark.slow] if i % 6 else [], id=str(r)) for i, r in enumerate(rows())]


@pytest.mark.parametrize("row", every_sixth_quickly())
def test_the_published_net_has_exactly_as_many_parameters(row: Row) -> None:
    if str(row) in UNMATCHED:
        pytest.skip(UNMATCHED[str(row)])
    model: ModelConfig = config_of(row)
    assert _count(model, row.classes, row.shape) == row.parameters


def test_all_rows_are_there_and_few_are_left_out() -> None:
    assert len(rows()) == 344
    assert len(UNMATCHED) <= 10
    assert set(UNMATCHED) <= {str(row) for row in rows()}
