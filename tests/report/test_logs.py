"""Curves of any logs in one figure."""

from pathlib import Path

import pytest

from tests.tracking.sweeps import manifest, train, write_sweep
from wsnet.report import ReportError
from wsnet.report.commands.logs import MOST_CURVES, curves_from_logs, draw_curves
from wsnet.storage import Folder, trial_directory

LOSS = "train/loss"


def a_csv(folder: Path, text: str, name: str = "theirs.csv") -> str:
    """A CSV file with this text."""
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_sweep_has_a_curve_for_each_setting(tmp_path: Path) -> None:
    folder, _ = write_sweep(tmp_path)
    curves = curves_from_logs([folder.location], LOSS)
    names = [curve.name for curve in curves]
    assert len(set(names)) == len(names) == 7
    assert names[0] == "BatchNorm, batch size 32"


def test_sweeps_trials_and_csv_files_are_laid_over_each_other(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path / "one")
    trial = trial_directory(folder, sweep.trials[0].trial_id).folder.location
    csv = a_csv(tmp_path, "epoch,train/loss,note\n1,2.5,x\n2,1.5,\n")
    curves = curves_from_logs([folder.location, trial, csv], LOSS)
    assert [curve.name for curve in curves][-2:] == [sweep.trials[0].trial_id, "theirs"]
    assert curves[-1].curve.median.tolist() == [2.5, 1.5]


def test_a_folder_of_trials_trained_outside_a_sweep_has_a_curve_for_each(tmp_path: Path) -> None:
    sweep, folder = manifest(seeds=2), Folder(tmp_path)
    for entry in sweep.trials[:2]:
        train(folder, entry)
    names = [curve.name for curve in curves_from_logs([tmp_path / "trials"], LOSS)]
    assert names == sorted(entry.trial_id for entry in sweep.trials[:2])


def test_curves_with_one_name_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    text = "epoch,train/loss\n1,2\n"
    paths = [a_csv(tmp_path, text), a_csv(tmp_path / "b", text)]
    names = [curve.name for curve in curves_from_logs(paths, LOSS)]
    assert names == [f"theirs ({path})" for path in paths]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_figure_is_written_in_the_format_of_its_ending(tmp_path: Path, ending: str) -> None:
    csv = a_csv(tmp_path, "epoch,train/loss\n1,2\n2,1\n")
    out = tmp_path / "out" / f"curves.{ending}"
    assert draw_curves([csv], LOSS, out) == str(out)
    assert out.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml", b"%PDF-")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "step,train/loss\n1,2\n",
            "must have a column 'epoch' and at least one row; its columns are: step, train/loss",
        ),
        ("epoch,train/loss\n", "must have a column 'epoch' and at least one row"),
        ("epoch,train/los\n1,2\n", "has no values of 'train/loss'; did you mean 'train/los'?"),
        ("epoch,train/loss\n1,two\n", "theirs.csv:2: column 'train/loss' must hold numbers, but got 'two'"),
        ("epoch,train/loss\n2,1\n1,2\n", "epochs must be whole numbers from 1 that rise"),
        ("epoch,train/loss\n0,1\n", "epochs must be whole numbers from 1 that rise"),
    ],
)
def test_a_csv_file_that_is_no_log_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ReportError) as caught:
        curves_from_logs([a_csv(tmp_path, text)], LOSS)
    assert message in str(caught.value)


def test_places_without_a_log_are_one_line(tmp_path: Path) -> None:
    for paths, message in {
        (): "give at least one log",
        (str(tmp_path / "nowhere"),): "it is absent or empty",
        (str(tmp_path / "no.csv"),): "cannot be read as CSV",
    }.items():
        with pytest.raises(ReportError, match=message):
            curves_from_logs(paths, LOSS)
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "x.txt").write_text("")
    with pytest.raises(ReportError, match=r"neither sweep\.json nor records\.jsonl"):
        curves_from_logs([tmp_path / "else"], LOSS)
    with pytest.raises(ReportError, match=r"must end in \.png, \.svg, \.pdf, but got 'x\.jpg'"):
        draw_curves([], LOSS, "x.jpg")


def test_a_metric_that_nobody_measured_is_refused_with_those_there_are(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path)
    trial = trial_directory(folder, sweep.trials[0].trial_id).folder.location
    with pytest.raises(ReportError, match=r"did you mean 'train/loss'\?; there are: lr, test/top1_error, time/"):
        curves_from_logs([trial], "train/los")


def test_more_curves_than_can_be_told_apart_are_refused(tmp_path: Path) -> None:
    text = "epoch,train/loss\n1,2\n"
    paths = [a_csv(tmp_path, text, f"{index}.csv") for index in range(MOST_CURVES + 1)]
    with pytest.raises(ReportError, match="25 curves cannot be told apart in one figure"):
        curves_from_logs(paths, LOSS)
