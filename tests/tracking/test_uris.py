"""Tracking URIs at which there cannot be a store are refused before anything starts; no password is shown."""

import pytest

from wsnet.tracking import TrackingError, check_tracking_uri, without_password


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("foo://x", "must be http"),
        ("http://", "names no host"),
        ("runs/mlruns", "no longer writes to folders"),
        ("file:///runs/mlruns", "no longer writes to folders"),
        ("postgresql+nodriver://me:secret@db/mlflow", "cannot be used"),
        ("mysql://me:secret@db/mlflow", "cannot be used"),
    ],
)
def test_an_address_that_can_not_be_right(uri: str, reason: str) -> None:
    with pytest.raises(TrackingError, match=reason) as caught:
        check_tracking_uri(uri)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "https://me:secret@host/path", "sqlite:////data/mlflow.db"])
def test_an_address_that_may_be_right(uri: str) -> None:
    check_tracking_uri(uri)
    assert "secret" not in without_password(uri)
