"""The sweep file of the question, run small on real CIFAR-10 images."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.shared import SHARED
from tests.sweep.tiny import ROOT, command, environment

DATA = SHARED / "data" if SHARED else None


@pytest.mark.slow
@pytest.mark.skipif(DATA is None or not (DATA / "cifar10").exists(), reason="needs the CIFAR-10 images")
def test_the_cifar_sweep_runs_small_with_every_setting_of_its_ends(tmp_path: Path, cluster: str) -> None:
    assert DATA is not None
    sweep = ROOT / "sweeps" / "cifar_batchsize.yaml"
    small = ("--smoke", "--images", "4", "--steps", "1", "--set", "seeds=1", "--only", "train.batch_size=1")
    options = (*small, "--storage", tmp_path, "--data-root", DATA, "--address", cluster)
    done = subprocess.run(
        command(sweep, *options),
        env=environment(),  # With the user's own cache of decoded images: decoding them takes half a minute.
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "cifar_batchsize-smoke"
    manifest = json.loads((folder / "sweep.json").read_text())
    ends = [json.loads((folder / "trials" / t["trial_id"] / "status.json").read_text()) for t in manifest["trials"]]
    assert len(ends) == 14 and {end["status"] for end in ends} <= {"finished", "diverged"}
    assert len({trial["axes"]["optim.lr"] for trial in manifest["trials"]}) == 2
    table = (folder / "table.md").read_text()
    assert "optim.lr was selected among 2 candidates by the lowest median validation/top1_error" in table
    assert "its values mean nothing" in table and "p possible" not in table
    assert (folder / "figure.png").exists()
