"""Tables other than the sweep file's own, from the command line."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import parquet

from tests.report.test_cli import FILES, refusal
from tests.tracking.sweeps import manifest, write_sweep
from wsnet.config.report import SelectConfig
from wsnet.report import ReportError, Results, read_directory
from wsnet.report.cli import main
from wsnet.report.tables.arrange import Arrangement, arrange
from wsnet.report.tables.csv_files import table_csv
from wsnet.report.tables.markdown import markdown
from wsnet.report.tables.table import Table, tabulate
from wsnet.storage import Folder, trial_directory


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return read_directory(write_sweep(tmp_path)[0])


def table(results: Results, **asked: object) -> Table:
    return tabulate(*arrange(results, Arrangement(**asked)))[0]  # type: ignore[arg-type]


def test_rows_and_columns_can_change_places(results: Results) -> None:
    found = table(results, rows=("train.batch_size",), columns="model.norm.name")
    assert found.labels == [("2",), ("4",), ("32",)]
    assert found.columns == ("batch", "group", "online")
    assert found.cells[2] == ("14.80 [14.14, 15.13]", "17.13 n=1 of 3", "–")  # noqa: RUF001


def test_without_columns_their_axis_moves_into_the_rows(results: Results) -> None:
    found = table(results, columns="none")
    assert found.keys == ("model.norm.name", "train.batch_size") and found.columns == ("test/top1_error",)
    assert len(found.labels) == 8


def test_conditions_choose_trials_and_the_caption_says_so(results: Results) -> None:
    found = table(results, where=("train.batch_size>=4", "model.norm.name!=group"))
    assert found.columns == ("4", "32") and [label[0] for label in found.labels] == ["batch", "online"]
    assert "Only trials with train.batch_size >= 4 and model.norm.name != group." in found.caption
    with pytest.raises(ReportError, match=r"no trial has train\.batch_size > 64"):
        table(results, where=("train.batch_size>64",))
    for wrong, said in {
        "train.batch_size": "must be like train.batch_size>=8",
        "batch_size=3": "must name an axis of the sweep, but got 'batch_size'; did you mean 'train.batch_size'?",
        "model.norm.name>3": "no trial has",
        "model.norm.name>group": "compares numbers",
    }.items():
        with pytest.raises(ReportError, match=said.replace("?", r"\?")):
            table(results, where=(wrong,))


def test_several_metrics_and_facts_are_columns(results: Results) -> None:
    metrics, facts = ("test/top1_error", "train/loss"), ("training_time", "parameters")
    found = table(results, metrics=metrics, facts=facts, where=("train.batch_size=32",))
    assert found.columns == (*metrics, *facts)
    assert found.cells[0] == ("14.80 [14.14, 15.13]", "0.4774 [0.4562, 0.4882]", "4.5 s", "–")  # noqa: RUF001
    shown, quantities = arrange(results, Arrangement(metrics=metrics, facts=facts))
    cells = tabulate(shown, quantities)[1]
    rows = list(csv.DictReader(io.StringIO(table_csv(shown, cells, quantities))))
    assert rows[2]["training_time"] == "4.5" and float(rows[2]["train/loss"]) == pytest.approx(0.4774, abs=1e-4)
    with pytest.raises(ReportError, match="make the columns themselves"):
        table(results, metrics=metrics, columns="train.batch_size")


def test_accuracies_are_shown_in_place_of_errors(results: Results) -> None:
    found = table(results, accuracy=True)
    assert found.cells[0][2] == "85.20 [84.87, 85.86]"
    assert found.cells[0][0] == "diverged [diverged, 85.39]"
    assert "test/top1_accuracy at the last epoch" in found.caption[0]
    assert table(results, metrics=("test/top1_accuracy",)).cells == found.cells


def test_the_mean_and_its_standard_deviation_are_given_where_asked(results: Results) -> None:
    shown, _ = arrange(results, Arrangement(statistic="mean"))
    found, cells = tabulate(shown)
    assert found.cells[0] == ("diverged", "diverged", "14.69 ± 0.50")
    row = list(csv.DictReader(io.StringIO(table_csv(shown, cells))))[2]
    assert float(row["mean"]) == pytest.approx(14.69, abs=0.01) and float(row["deviation"]) == pytest.approx(
        0.5, abs=0.01
    )


@pytest.mark.slow
def test_times_are_shown_with_the_device(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path)
    for entry in sweep.trials:
        trial_directory(folder, entry.trial_id).write_execution({"device_name": "H200"})
    assert main([folder.location, "--facts", "training_time", "--out", str(tmp_path / "out")]) == 0
    assert "Training times are on H200." in (tmp_path / "out" / "table.md").read_text()


@pytest.mark.slow
def test_another_table_leaves_the_sweeps_own_files_alone(tmp_path: Path) -> None:
    folder, _ = write_sweep(tmp_path)
    assert main([folder.location]) == 0
    before = {name: folder.read(name) for name in FILES}
    assert main([folder.location, "--rows", "train.batch_size", "--columns", "model.norm.name", "--parquet"]) == 0
    assert {name: folder.read(name) for name in FILES} == before
    assert folder.exists("table-train.batch_size-model.norm.name.tex")
    rows = parquet.read_table(Folder(folder.location).local / "trials.parquet").to_pylist()  # type: ignore[operator]
    assert {row["train.batch_size"] for row in rows} == {2, 4, 32}


def test_unknown_names_are_told_with_the_nearest_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = write_sweep(tmp_path)[0].location
    assert "got 'model.nrm.name'; did you mean 'model.norm.name'?" in refusal(capsys, place, "--rows", "model.nrm.name")
    assert "did you mean 'training_time'?" in refusal(capsys, place, "--facts", "trainingtime")
    assert "must be STATISTIC(METRIC)" in refusal(capsys, place, "--fail-if", "error > 3")
    assert "there are: " in refusal(capsys, place, "--fail-if", "median(test/eror) > 3")


@pytest.mark.slow
def test_a_rule_that_holds_gives_exit_status_1_and_names_the_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = write_sweep(tmp_path)[0].location
    assert main([place, "--fail-if", "low(test/top1_error) > 99"]) == 0
    assert main([place, "--fail-if", "median(test/top1_error) > 16", "--where", "model.norm.name=batch"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "--fail-if: inf > 16: median(test/top1_error) at batch, batch_size=2"


def test_the_best_setting_is_the_best_on_validation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = write_sweep(tmp_path, manifest(rates=(1e-3, 1e-2)))[0].location
    assert main([place, "--best", "--where", "train.batch_size=32"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("# best of ") and "by median validation/top1_error" in printed
    assert "optim.lr=0.01" in printed and "data: {name: digits" in printed
    assert "must not be a metric of the test set" in refusal(capsys, place, "--best", "--by", "test/top1_error")


def test_sweeps_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_sweep(tmp_path / "one")[0].location
    other = write_sweep(tmp_path / "two", manifest(seeds=2))[0].location
    assert main([one, other, "--out", str(tmp_path / "both")]) == 0
    lines = (tmp_path / "both" / "table.md").read_text().splitlines()
    assert "| model.norm.name | train.batch_size | one/a sweep 100% | two/a sweep 100% |" in lines
    assert "| batch | 32 | 14.80 [14.14, 15.13] | 14.47 [14.14, 14.80] n=2 |" in lines
    assert "give different sweeps" in refusal(capsys, one, one)
    third = write_sweep(tmp_path / "three", manifest(metric="train/loss"))[0].location
    assert "must report the same metric" in refusal(capsys, one, third)


@pytest.mark.slow
def test_a_bundle_gives_the_same_files_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = write_sweep(tmp_path)
    file = tmp_path / "elsewhere" / "mine.zip"
    assert main([folder.location, "--bundle", str(file)]) == 0
    monkeypatch.chdir(file.parent)
    assert main(["mine.zip"]) == 0
    assert all(Folder("mine").read(name) == folder.read(name) for name in FILES)
    assert main(["mine.zip", "--best"]) == 0  # Again, into the same folder.
    (tmp_path / "elsewhere" / "mine" / "sweep.json").write_text(json.dumps({}))
    assert "holds something else; give --out" in refusal(capsys, "mine.zip")
    file.write_bytes(b"no zip")
    assert "is not a zip file" in refusal(capsys, "mine.zip")


def test_the_best_epoch_on_validation_counts_where_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, sweep = write_sweep(tmp_path)
    for entry in sweep.trials[:3]:  # Batch norm at batch size 32.
        errors = [(1, 30.0, 31.0), (2, 10.0, 12.0 + entry.seed), (3, 20.0, 5.0)]
        records = [{"epoch": e, "validation/top1_error": v, "test/top1_error": t} for e, v, t in errors]
        trial_directory(folder, entry.trial_id).write_records(records)
    assert main([folder.location, "--best-epoch"]) == 0
    text = (folder.read("table-best-epoch.md") or b"").decode()
    assert "13.00 [12.00, 14.00]" in text
    assert "test/top1_error at the epoch with each trial's best validation/top1_error: median" in text
    assert "must be chosen on the validation split" in refusal(
        capsys, folder.location, "--best-epoch", "--by", "test/loss"
    )


def test_latex_escapes_what_would_not_compile(results: Results) -> None:
    from wsnet.report.tables.latex import latex

    found = table(results)
    assert not any(map(any, found.bold))
    text = latex(replace(found, bold=[(False, False, True), *found.bold[1:]]))
    assert r"\withrange{\textbf{14.80}}{{[}14.14, 15.13{]}}" in text
    assert r"Test error (\%) at the last epoch: median" in text and "n=1 of 3" in text
    assert "Columns:" not in text and "batch_size" not in text
    assert r"& \multicolumn{3}{c}{batch size} \\" in text and "    BatchNorm & " in text
    assert text.count("{") == text.count("}")
    assert markdown(table(results)).count("14.80") == 1


def test_what_conditions_leave_out_is_not_said_to_have_not_started(tmp_path: Path) -> None:
    folder, _ = write_sweep(tmp_path, manifest(rates=(1e-3, 1e-2)))
    found = read_directory(folder)
    started = {trial.setting_id for trial in found.trials}, {trial.trial_id for trial in found.trials}
    select = SelectConfig(over=("optim.lr",))
    header = replace(found.header, select=select, settings=len(started[0]) + 1, trials=len(started[1]) + 2)
    shown, _ = arrange(replace(found, header=header), Arrangement(where=("model.norm.name=batch",)))
    caption = " ".join(tabulate(shown)[0].caption)
    assert "Settings that have not started and are not counted among the candidates: 1." in caption
    assert shown.header.trials == len({trial.trial_id for trial in shown.trials}) + 2


def test_a_sweep_file_in_place_of_a_folder_is_told_the_folder_of_its_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("# A comment.\nname: gn  # The sweep.\n")
    assert "'mine.yaml' is a sweep file, not the folder of a sweep" in refusal(capsys, "mine.yaml")
    manifest().write(Folder("runs/gn"))
    assert refusal(capsys, "mine.yaml").rstrip().endswith("give the folder of its sweep: runs/gn")
