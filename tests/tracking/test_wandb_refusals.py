"""What keeps a sweep with --wandb from starting, and how W&B's failures are told."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tracking.wandb_sweeps import KEY
from wsnet.storage import Folder
from wsnet.tracking import TrackingError, wandb_project
from wsnet.tracking.wandb_client import reason

pytestmark = pytest.mark.usefixtures("own_settings")


def refusal(text: str, folder: Folder) -> str:
    with pytest.raises(TrackingError) as raised:
        wandb_project(text, folder)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_without_the_package_the_way_to_get_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert refusal("p", Folder(tmp_path)) == "--wandb needs the wandb package: pip install 'wsnet[wandb]'"


@pytest.mark.parametrize("text", ["", "a/b/c", "/p", "me/", "what?"])
def test_a_name_that_no_project_can_have_is_refused(text: str, tmp_path: Path) -> None:
    assert refusal(text, Folder(tmp_path)).startswith("--wandb must be PROJECT or ENTITY/PROJECT")


@pytest.mark.slow
def test_without_an_api_key_the_ways_out_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    ways = "run `wandb login`, set WANDB_API_KEY, or set WANDB_MODE=offline to upload the runs later"
    assert refusal("me/p", Folder(tmp_path)) == f"--wandb: no API key for http://127.0.0.1:9 is configured; {ways}"
    monkeypatch.setenv("WANDB_API_KEY", "short")
    assert refusal("me/p", Folder(tmp_path)).startswith("--wandb: WANDB_API_KEY invalid")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    project = wandb_project("me/p", Folder(tmp_path))
    assert (project.entity, project.project, project.is_offline) == ("me", "p", False)


@pytest.mark.slow
def test_wandb_that_is_disabled_or_has_no_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    from pyarrow import fs

    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert "unset WANDB_MODE, or leave --wandb out" in refusal("p", Folder(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "offline")
    remote = Folder("bucket/sweep", filesystem=fs.SubTreeFileSystem("/", fs.LocalFileSystem()))
    assert "needs a folder on this machine" in refusal("p", remote)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    assert wandb_project("p", remote).files == tmp_path / "wandb"


def test_the_reason_of_a_failure_is_short_and_in_the_servers_words() -> None:
    def of(text: str, error: type[Exception] = RuntimeError) -> str:
        return reason("http://x", error(text))

    deleted = "run a was previously created and deleted; try a new run name"
    answer = f'{{"data":null,"errors":[{{"message":"{deleted}"}}]}}'
    assert of(f"Failed to upsert bucket: returned error 409: {answer}") == f"W&B at http://x: {deleted}"
    assert of(f"returned error 401: {answer}").startswith("W&B at http://x refuses the API key; ")
    down = "context deadline exceeded\nwhile retrying: dial tcp 127.0.0.1:9: connect: connection refused"
    assert of(down) == of("", TimeoutError) == "W&B at http://x cannot be reached"
    assert of("x" * 300) == f"W&B at http://x: {'x' * 97}..."


def test_importing_tracking_does_not_import_wandb() -> None:
    code = "import sys, wsnet.tracking; assert 'wandb' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
