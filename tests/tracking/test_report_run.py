"""The report's files in MLflow, in one run for each sweep."""

import time
from pathlib import Path

import pytest

from tests.tracking.stores import mirrored_copy, upload_report
from wsnet.storage import Folder, Manifest
from wsnet.tracking import default_tracking_uri, report_files, view_links
from wsnet.tracking.client import connect, fail_fast
from wsnet.tracking.read import TrackingError, read_sweep

pytestmark = pytest.mark.slow  # MLflow takes seconds to import and to set up its database.


def contents(folder: Folder, sweep: Manifest) -> dict[str, bytes]:
    """The files of the one run of kind `summary`."""
    with fail_fast():
        client = connect(default_tracking_uri(folder))
        experiment = client.get_experiment_by_name(sweep.name)
        (run,) = client.search_runs([experiment.experiment_id], "tags.`wsnet.kind` = 'summary'")
        assert run.info.status == "FINISHED"
        names = [file.path for file in client.list_artifacts(run.info.run_id)]
        return {name: Path(client.download_artifacts(run.info.run_id, name)).read_bytes() for name in names}


def test_the_reports_files_are_in_mlflow_and_a_new_report_replaces_them(tmp_path: Path) -> None:
    folder, sweep = mirrored_copy(tmp_path)
    before = str(read_sweep(default_tracking_uri(folder), sweep.name))
    for name in ("table.md", "table.csv", "trials.csv", "figure.png", "figure-curves.svg", "report.html", "report.md"):
        folder.write(name, f"first {name}".encode())
    assert upload_report(folder, sweep, default_tracking_uri(folder)) is None
    assert contents(folder, sweep) == {name: f"first {name}".encode() for name in report_files(folder)}
    assert len(report_files(folder)) == 7
    folder.write("table.md", b"second")
    folder.delete("figure-curves.svg")
    assert upload_report(folder, sweep, default_tracking_uri(folder)) is None
    assert contents(folder, sweep)["table.md"] == b"second"
    assert sorted(contents(folder, sweep)) == report_files(folder)
    assert str(read_sweep(default_tracking_uri(folder), sweep.name)) == before


def test_no_other_file_of_the_sweep_is_part_of_its_report(tmp_path: Path) -> None:
    folder, _ = mirrored_copy(tmp_path)
    assert report_files(folder) == []


def test_a_failing_mlflow_is_told_in_one_line_and_raises_nothing(tmp_path: Path) -> None:
    folder, sweep = mirrored_copy(tmp_path)
    folder.write("table.md", b"x")
    start = time.monotonic()
    trouble = upload_report(folder, sweep, "http://127.0.0.1:9", timeout=5)
    assert time.monotonic() - start < 9
    assert trouble is not None and trouble.startswith("MLflow at http://127.0.0.1:9") and "\n" not in trouble
    other = Manifest(**{**vars(sweep), "name": "another"})
    trouble = upload_report(folder, other, default_tracking_uri(folder))
    assert trouble is not None and trouble.endswith("it has no experiment 'another'")


def test_the_links_of_a_sweeps_views_can_be_asked_for(tmp_path: Path) -> None:
    folder, sweep = mirrored_copy(tmp_path)
    uri = default_tracking_uri(folder)
    links = view_links(uri, sweep.name)
    assert [title for title, _ in links] == ["settings by median", "settings as a chart", "trials by setting"]
    assert all(link.startswith("http://127.0.0.1:5000/#/experiments/") for _, link in links)
    with pytest.raises(TrackingError, match="no experiment 'another'"):
        view_links(uri, "another")
