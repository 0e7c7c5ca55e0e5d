"""Surroundings of the tests with W&B."""

import os
from pathlib import Path

import pytest

from tests.tracking.wandb_sweeps import KEY


@pytest.fixture
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, keys and caches of the user's."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "wandb-home" / name.lower()))


@pytest.fixture
def offline(own_settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B is offline."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")


@pytest.fixture
def online(own_settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B is online; the test sets the server's address."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
