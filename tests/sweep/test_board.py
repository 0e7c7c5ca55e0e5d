import io
import math
from typing import Any

import pytest
from rich.console import Console

from wsnet.storage import Status, TrialEntry
from wsnet.sweep.progress import ProgressDisplay, SweepProgress


def tally(*, settings: int = 2, seeds: int = 2, epochs: int = 10) -> SweepProgress:
    trials = [
        TrialEntry(trial_id=f"{n}-{s}", setting_id=str(n), seed=s, name=f"bn-b{2**n}-lr0.0001-wd0.0005-s{s}", axes={})
        for n in range(settings)
        for s in range(seeds)
    ]
    return SweepProgress(trials, {trial.trial_id: epochs for trial in trials})


def record(epoch: int, error: float = 50.0, seconds: float = 2.0) -> dict[str, Any]:
    return {"epoch": epoch, "validation/top1_error": error, "time/epoch_seconds": seconds}


def test_the_time_left_comes_from_each_settings_own_epochs() -> None:
    board = tally(settings=2, seeds=1)
    assert board.seconds_left() is None
    board.measured("0-0", record(4, seconds=2.0))
    assert board.seconds_left() == pytest.approx(6 * 2.0 + 10 * 2.0, rel=0.02)
    board.measured("1-0", record(1, seconds=5.0))
    assert board.seconds_left() == pytest.approx(6 * 2.0 + 9 * 5.0, rel=0.02)
    board.concurrent = 2
    assert board.seconds_left() == pytest.approx(9 * 5.0, rel=0.02), "the longest trial is not shared"
    board.ended("1-0", Status(status="failed"))
    assert board.seconds_left() == pytest.approx(6 * 2.0, rel=0.02)
    board.ended("0-0", Status(status="finished"))
    assert board.seconds_left() == 0


def test_an_epoch_that_is_told_twice_counts_once() -> None:
    board = tally(settings=1, seeds=1)
    board.measured("0-0", record(2, seconds=1.0))
    board.measured("0-0", record(2, seconds=99.0))
    board.measured("0-0", {"done": True})
    assert board.seconds_left() == pytest.approx(8.0, rel=0.03)


def test_a_trial_that_is_tried_again_is_counted_once() -> None:
    board = tally(settings=1, seeds=1)
    board.started("0-0")
    board.ended("0-0", Status(status="failed"))
    board.started("0-0")
    assert (board.count("running"), board.count("failed"), board.done) == (1, 0, 0)
    board.ended("0-0", Status(status="finished"))
    assert (board.count("running"), board.count("failed"), board.done) == (0, 0, 1)


def test_settings_are_ranked_by_the_median_and_a_diverged_seed_is_the_worst() -> None:
    board = tally(settings=3, seeds=3)
    for seed, error in enumerate([10.0, 20.0, 90.0]):
        board.measured(f"0-{seed}", record(1, error))
    board.measured("1-0", record(1, 15.0))
    for seed in range(2):
        board.measured(f"2-{seed}", record(1, 5.0))
        board.ended(f"2-{seed}", Status(status="diverged"))
    assert [(state.done, state.median) for state in board.best_settings()] == [(0, 15.0), (0, 20.0), (2, math.inf)]


def test_a_sweep_that_reports_accuracies_shows_them_while_it_runs() -> None:
    drawn = tally()
    drawn.measured("0-0", record(1, 12.5))
    file = io.StringIO()
    for drawn.shows_accuracy in (False, True):
        with ProgressDisplay(drawn, Console(file=file, width=200)):
            pass
    lines = [line for line in file.getvalue().splitlines() if "best on validation" in line]
    assert lines[0].endswith(" 12.50 %") and lines[-1].endswith(" 87.50 %")


@pytest.mark.parametrize("width", [80, 40, 20])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True, color_system=None, legacy_windows=False)
    drawn = tally(settings=20)
    for n in range(20):
        drawn.measured(f"{n}-0", record(1, 50.0 + n))
    drawn.ended("0-0", Status(status="diverged"))
    board = ProgressDisplay(drawn, console, trouble=lambda: "MLflow at [http://x] is down")
    console.print(board._draw())
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= 20 if width == 80 else True
    if width == 80:
        text = file.getvalue()
        assert "MLflow at [http://x] is down" in text and "1/40" in text and "about" in text and "51.00" in text


def test_without_a_terminal_a_line_is_printed_now_and_then() -> None:
    file = io.StringIO()
    with ProgressDisplay(tally(), Console(file=file, width=80), trouble=lambda: "tracking [is] down") as board:
        for _ in range(100):
            board.refresh()
    assert file.getvalue().count("trials 0/4") == 2, "at the start and at the end"
    assert file.getvalue().count("tracking [is] down") == 1
