"""Sweeps that run the whole command, but whose trials have ended before."""

from pathlib import Path

from tests.tracking.stores import new_store
from wsnet.config import read_sweep
from wsnet.report import conclude
from wsnet.storage import Folder, Status, trial_directory
from wsnet.sweep.cli import main
from wsnet.sweep.planning.plan import make_plan

__all__ = ["run_trained"]


def run_trained(path: Path, tmp_path: Path, *options: str) -> Folder:
    """Run a sweep whose trials have been trained already: layer norm has the lower errors.

    Args:
        path: the sweep file.
        tmp_path: for the results.
        options: `key=value` pairs of `--set`.
    """
    plan = make_plan(read_sweep(str(path), list(options)), path.name, root=tmp_path)
    folder = Folder(str(tmp_path / "runs" / "tiny"))
    new_store(folder)
    for trial in plan.trials:
        directory, error = trial_directory(folder, trial.entry.trial_id), 9.0 - 4 * ("layer" in str(trial.entry.axes))
        if directory.status() is None:
            values = {"train/loss": 1.0, "validation/top1_error": error, "test/top1_error": error + trial.entry.seed}
            directory.write_records([{"epoch": epoch, **values} for epoch in (1, 2)])
            directory.write_status(Status(status="finished", epoch=2))
    command = [str(path), *(text for option in options for text in ("--set", option))]
    assert main([*command, "--storage", str(tmp_path / "runs")], conclude=conclude) == 0
    return folder
