"""What Tune is told of an epoch."""

from typing import Any

from wsnet.storage.trial_directory import LAYERS, Record

__all__ = ["for_tune"]

_FOR_THE_REPORT = ("test/", "test_ema/", LAYERS)
"""Prefixes of metrics withheld from Tune: nothing may be selected on the test set, and layers have too many values."""


def for_tune(trial_id: str, record: Record) -> dict[str, Any]:
    """The part of an epoch's record that is reported to Tune."""
    told: dict[str, Any] = {key: value for key, value in record.items() if not key.startswith(_FOR_THE_REPORT)}
    return {**told, "trial": trial_id, "epoch": int(record["epoch"])}
