"""Published numbers beside the cells of a report."""

import csv
import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.tracking.stores import mirror
from tests.tracking.sweeps import manifest, train
from wsnet.config.published import published_rows
from wsnet.report import ReportError, Results, print_table, read_directory, read_mlflow
from wsnet.report.figures import figures, render
from wsnet.report.published_tables import published_results, published_tables
from wsnet.report.tables.arrange import Arrangement, arrange
from wsnet.report.tables.csv_files import table_csv
from wsnet.report.tables.markdown import markdown
from wsnet.report.tables.pivot import pivot
from wsnet.report.tables.table import tabulate
from wsnet.storage import Folder, Manifest

LINK = {
    "where": {"system": "weight_normalization", "model": "ResNet-18"},
    "match": {"norm": "model.norm.name", "batch_size": "train.batch_size"},
}


def written(path: Path, link: object = LINK, **report: object) -> tuple[Folder, Manifest]:
    """A sweep whose trials have all finished."""
    sweep = manifest(seeds=1)
    sweep.report.update(report)
    if link is not None:
        sweep.report["published"] = link
    folder = Folder(path / "sweep")
    sweep.write(folder)
    for entry in sweep.trials:
        train(folder, entry)
    return folder, sweep


def results(path: Path, link: object = LINK, **report: object) -> Results:
    return read_directory(written(path, link, **report)[0])


def test_a_cell_shows_the_published_number_whose_it_is_and_the_difference(tmp_path: Path) -> None:
    found = results(tmp_path)
    cells = pivot(found)
    cell = next(c for (row, column), c in cells.cells.items() if row[0] == '"batch"' and column == "32")
    assert cell.summary is not None
    text = markdown(tabulate(found)[0])
    assert f"(README 6.83, {cell.summary.median - 6.83:+.2f})" in text
    assert "Published accuracies are shown as errors: 100 - accuracy." in text
    assert "README: its own result" in text and "paper" not in text
    out = io.StringIO()
    print_table(found, Console(file=out, width=300))
    assert "(README 6.83, " in out.getvalue() and "100 - accuracy" in out.getvalue()


def test_numbers_of_another_recipe_have_no_difference_and_the_table_says_what_differs(tmp_path: Path) -> None:
    found = results(tmp_path, departures=["train.epochs is 1, not 250", "data.limit is 256 (not set in the file)"])
    text = markdown(tabulate(found)[0])
    assert "(README 6.83)" in text and "README 6.83," not in text
    assert (
        "Its recipe differs, so no difference is shown: train.epochs is 1, not 250; data.limit is 256 (not set in the "
        "file)." in text
    )
    rows = _rows(found)
    assert {row["difference"] for row in rows} == {""} and "6.83" in {row["published"] for row in rows}


def test_the_cells_file_has_the_published_numbers_at_its_end(tmp_path: Path) -> None:
    found = results(tmp_path)
    rows = {(r["model.norm.name"], r["train.batch_size"]): r for r in _rows(found)}
    row = rows["batch", "32"]
    assert list(row)[-7:] == [
        "high",
        "published",
        "difference",
        "published_by",
        "published_statistic",
        "published_runs",
        "published_id",
    ]
    assert (row["published"], row["published_by"]) == ("6.83", "README")
    assert float(row["difference"]) == pytest.approx(float(row["median"]) - 6.83, abs=1e-4)
    assert rows["online", "2"]["published"] == rows["online", "2"]["difference"] == ""


def test_a_cell_may_have_several_published_numbers(tmp_path: Path) -> None:
    link = {"where": {"system": "image_classification", "model": "ResNet-110", "norm": "batch"}, "match": {}}
    found = results(tmp_path, link)
    text = markdown(tabulate(found)[0])
    assert "(README 6.52 median of 3, " in text
    assert "(paper 6.43 best, " in text and "(paper 6.61 mean, " in text
    assert _rows(found)[0]["published"] == "6.52;6.43;6.61"
    assert _rows(found)[0]["published_runs"] == "3;;"


def test_peaks_are_called_selected(tmp_path: Path) -> None:
    link = {"where": {"system": "online_normalization", "dataset": "CIFAR-10"}, "match": {"norm": "model.norm.name"}}
    found = results(tmp_path, link)
    text = markdown(tabulate(found)[0])
    assert "(repository 7.7 peak of the median of 5, " in text and "selected on the test set" in text


def test_published_numbers_have_a_column_of_their_own_where_asked(tmp_path: Path) -> None:
    shown, quantities = arrange(results(tmp_path), Arrangement(facts=("published",)))
    table, _ = tabulate(shown, quantities)
    assert table.columns[1] == "published"
    cells = [cells for cells in table.cells if cells[1] == "README 6.83"]
    assert cells and all("README" not in cell[0] for cell in cells)


def test_another_metric_has_other_published_numbers_or_none(tmp_path: Path) -> None:
    found = results(tmp_path, metric="test/top5_error")
    assert "README 0.18" in markdown(tabulate(found)[0])
    other = results(tmp_path, metric="validation/top1_error")
    assert "There is no published number for validation/top1_error." in markdown(tabulate(other)[0])


@pytest.mark.slow
def test_the_figure_marks_published_numbers(tmp_path: Path) -> None:
    drawn = []
    for index, (link, columns) in enumerate([(None, "train.batch_size"), (LINK, "train.batch_size"), (LINK, None)]):
        found = results(tmp_path / str(index), link, columns=columns)
        drawn.append(render(figures(found, pivot(found))["figure"](), "png"))
    assert len(set(drawn)) == 3


def test_the_learning_rate_rule_stands_in_the_caption(tmp_path: Path) -> None:
    found = results(tmp_path, None, learning_rate="fixed")
    assert "The same learning rate at every batch size." in markdown(tabulate(found)[0])


def test_the_caption_says_what_statistics_norms_were_evaluated_with(tmp_path: Path) -> None:
    found = results(tmp_path, None, evaluation_statistics="running statistics")
    said = "Norms that keep a running mean and variance are evaluated with running statistics."
    assert said in markdown(tabulate(found)[0])


def test_without_published_numbers_nothing_is_said_of_them(tmp_path: Path) -> None:
    found = results(tmp_path, None)
    assert "ublished" not in markdown(tabulate(found)[0]) + table_csv(found, pivot(found))


def test_published_numbers_that_are_not_known_here_are_one_line(tmp_path: Path) -> None:
    for link, text in {
        "where.dataset: no published number has 'x' there": {"where": {"dataset": "x"}},
        "match.nrm: unknown column; did you mean 'norm'?": {"match": {"nrm": "case"}},
        "cannot be read": {"were": {}},
    }.items():
        with pytest.raises(ReportError, match=r"report\.published") as caught:
            results(tmp_path, text)
        assert link in str(caught.value)


@pytest.mark.slow
def test_mlflow_gives_the_same_published_numbers(tmp_path: Path) -> None:
    folder, sweep = written(tmp_path)
    one, other = read_directory(folder), read_mlflow(mirror(folder, sweep), sweep.name)
    assert one.header.published is not None
    assert one.header == other.header
    assert markdown(tabulate(one)[0]) == markdown(tabulate(other)[0])


def _rows(found: Results) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table_csv(found, pivot(found)))))


def test_the_published_tables_in_the_documentation_are_those_of_the_numbers() -> None:
    written = Path(__file__).parents[2].joinpath("docs", "published-tables.md").read_text(encoding="utf-8")
    assert written == published_tables(), "run python -m wsnet.report.published_tables > docs/published-tables.md"


def test_every_published_number_has_a_place_in_a_table() -> None:
    groups = {(row.fields["system"], row.fields["dataset"]) for row in published_rows()}
    placed = [published_results(*group) for group in groups]
    numbers = sum(len(trial.metrics) for results in placed for trial in results.trials)
    assert numbers == len(published_rows()) == 272
    assert all(pivot(results).most_seeds == 1 for results in placed)
