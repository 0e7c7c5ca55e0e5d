"""`python -m benchmarks` collects the ratios of benchmarks, and tells noise from a regression."""

import json
import os
import textwrap
from pathlib import Path

import pytest

from benchmarks.__main__ import RECORDED, SHORT, Run, listed, main, report
from benchmarks.guard import confirmed, is_worse, read_recorded, worse
from benchmarks.machine import machine
from benchmarks.ratios import FILE, Ratio, ratio, read_ratios

SPEED = Ratio("speed", 3.0, higher_is_better=True)
TIME = Ratio("time", 1.5, higher_is_better=False)
BOTH = {each.name: each for each in (SPEED, TIME)}


def test_a_ratio_is_worse_only_beyond_a_third_of_its_recorded_value() -> None:
    assert not is_worse(SPEED, 2.01) and is_worse(SPEED, 1.99)
    assert not is_worse(TIME, 1.99) and is_worse(TIME, 2.01)
    assert is_worse(SPEED, float("nan")) and is_worse(TIME, float("nan"))


def test_a_better_ratio_and_a_new_one_are_never_worse() -> None:
    found = [Ratio("speed", 30.0, True), Ratio("time", 0.1, False), Ratio("new", 99.0, False)]
    assert worse(found, BOTH) == []


def test_a_ratio_that_is_no_longer_reported_is_worse() -> None:
    (found,) = worse([SPEED], BOTH)
    assert str(found) == "time: not reported, recorded 1.5"


def test_a_ratio_that_is_worse_three_times_in_a_row_is_a_regression() -> None:
    slow = [Ratio("speed", 1.0, True), TIME]
    runs = iter([slow, slow])
    (found,) = confirmed(slow, BOTH, lambda: next(runs))
    assert str(found) == "speed: 1, recorded 3"
    assert next(runs, None) is None


def test_a_ratio_that_recovers_once_is_noise() -> None:
    slow = [Ratio("speed", 1.0, True), TIME]
    runs = iter([slow, [SPEED, TIME]])
    assert confirmed(slow, BOTH, lambda: next(runs)) == []


def test_two_ratios_that_are_worse_in_different_runs_are_noise() -> None:
    one, other = [Ratio("speed", 1.0, True), TIME], [SPEED, Ratio("time", 9.0, False)]
    runs = iter([other])
    assert confirmed(one, BOTH, lambda: next(runs)) == []


def test_nothing_runs_again_where_no_ratio_is_worse() -> None:
    def again() -> list[Ratio]:
        raise AssertionError("it was run again")

    assert confirmed([SPEED, TIME], BOTH, again) == []


def test_a_ratio_is_appended_to_the_file_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ratios"
    monkeypatch.delenv(FILE, raising=False)
    ratio("speed", 9.0, higher_is_better=True)
    assert read_ratios(file) == []
    monkeypatch.setenv(FILE, str(file))
    ratio("speed", 3.0, higher_is_better=True)
    ratio("time", 1.5, higher_is_better=False)
    assert read_ratios(file) == [SPEED, TIME]


def test_what_is_written_is_read_back_as_recorded(tmp_path: Path) -> None:
    told = report(machine(), {"model_step": Run(0, 12.3, [SPEED, TIME]), "broken": Run(1, 0.1, [])})
    assert told["machine"]["cores"] == len(os.sched_getaffinity(0))
    (tmp_path / "now.json").write_text(json.dumps(told))
    assert read_recorded(tmp_path / "now.json") == {"model_step": BOTH, "broken": {}}


def test_every_short_benchmark_is_a_benchmark_and_has_recorded_ratios() -> None:
    assert {"model_step", "norms", "accuracy"} < set(listed()) and "interleaved" not in listed()
    assert set(SHORT) < set(listed())
    recorded = read_recorded(RECORDED)
    assert set(recorded) == set(SHORT) and all(recorded.values())


@pytest.mark.parametrize("words", [["no_such"], ["--short", "accuracy"], ["--check", "--recorded", "no_such.json"]])
def test_what_cannot_be_run_is_an_error_before_anything_starts(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main(words)
    assert raised.value.code == 2
    assert "there " in (said := capsys.readouterr().err) or "does not exist" in said


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """In place of the benchmarks: one that reports 3 / (the number of its runs)."""
    code = """
        import pathlib, sys
        from ratios import ratio
        runs = pathlib.Path(__file__).with_suffix(".runs")
        runs.write_text(runs.read_text() + "x" if runs.exists() else "x")
        ratio("speed", 3.0 / len(runs.read_text()), higher_is_better=True)
        if __name__ == "__main__":
            sys.exit(1)
    """
    (tmp_path / "step.py").write_text(textwrap.dedent(code))
    (tmp_path / "ratios.py").write_bytes((RECORDED.parent / "ratios.py").read_bytes())
    monkeypatch.setattr("benchmarks.__main__.FOLDER", tmp_path)
    return tmp_path


def test_named_benchmarks_run_and_their_ratios_are_written(made_up: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["step", "--json", str(made_up / "now.json")]) == 0  # A missed bar is no failure.
    told = json.loads((made_up / "now.json").read_text())
    assert told["benchmarks"]["step"]["ratios"] == {"speed": {"value": 3.0, "higher_is_better": True}}
    assert told["benchmarks"]["step"]["status"] == 1 and told["machine"]["torch"]
    assert "3.000  speed" in capsys.readouterr().out


@pytest.mark.parametrize(("recorded", "status", "runs"), [(3.0, 0, 1), (9.0, 1, 3)])
def test_the_check_fails_after_three_runs_that_are_worse(
    made_up: Path, capsys: pytest.CaptureFixture[str], recorded: float, status: int, runs: int
) -> None:
    file = made_up / "recorded.json"
    file.write_text(json.dumps(report({}, {"step": Run(0, 1.0, [Ratio("speed", recorded, True)])})))
    assert main(["--check", "--recorded", str(file)]) == status
    assert len((made_up / "step.runs").read_text()) == runs
    assert ("step, speed: 1, recorded 9" in capsys.readouterr().err) == bool(status)
