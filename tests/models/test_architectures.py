"""Every published parameter count, to the exact parameter."""

from functools import cache

import pytest

from tests.models.architectures import Row, config_of, rows
from wsnet.config.architectures import ModelConfig
from wsnet.models import parameter_count

UNMATCHED: dict[str, str] = {}
"""Rows (as `str(row)`) that cannot be matched, and why."""

_count = cache(parameter_count)


@pytest.mark.parametrize("row", rows(), ids=str)
def test_the_published_net_has_exactly_as_many_parameters(row: Row) -> None:
    if str(row) in UNMATCHED:
        pytest.skip(UNMATCHED[str(row)])
    model: ModelConfig = config_of(row)
    assert _count(model, row.classes, row.shape) == row.parameters


def test_all_rows_are_there_and_few_are_left_out() -> None:
    assert len(rows()) == 344
    assert len(UNMATCHED) <= 10
    assert set(UNMATCHED) <= {str(row) for row in rows()}
