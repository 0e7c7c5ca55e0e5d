"""The mirror with any tracker: what it calls, when, and what it does about errors."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.tracking.sweeps import manifest, train
from wsnet.storage import Folder, Manifest
from wsnet.tracking import Mirror, Tracker, upload_report


class Recorder(Tracker):
    """A tracker that notes the calls, and fails as it is told."""

    name, place = "Recorder", "here"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.is_down = False
        self.refused: set[str] = set()

    def __exit__(self, *error: object) -> None:
        self.calls.append("exit")

    def connect(self) -> None:
        self.calls.append("connect")
        self.check()

    def upload(self, trial_id: str) -> None:
        self.check()
        if trial_id in self.refused:
            raise ValueError(f"{trial_id} is refused")
        self.calls.append(trial_id)

    def check(self) -> None:
        if self.is_down:
            raise ConnectionError("down")

    def upload_report(self, files: Sequence[str]) -> None:
        self.check()
        self.calls.append(", ".join(files))

    def reason(self, error: BaseException) -> str:
        return f"Recorder: {error}"

    def lines(self) -> list[str]:
        return []


def started(tmp_path: Path) -> tuple[Folder, Manifest]:
    """A sweep of two trials."""
    folder, sweep = Folder(tmp_path), manifest(seeds=2, batch_sizes=[4])
    sweep = Manifest(**{**vars(sweep), "trials": sweep.trials[:2]})
    for entry in sweep.trials:
        train(folder, entry)
    return folder, sweep


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_tracker_is_connected_gets_every_trial_and_is_left(tmp_path: Path) -> None:
    (folder, sweep), tracker = started(tmp_path), Recorder()
    mirror = Mirror(folder, sweep, tracker)
    assert mirror.close() == [] and mirror.has_connected
    wait_until(lambda: tracker.calls[-1] == "exit")
    assert tracker.calls == ["connect", *(entry.trial_id for entry in sweep.trials), "exit"]


def test_a_tracker_that_raises_holds_nobody_up_and_is_connected_again(tmp_path: Path) -> None:
    (folder, sweep), tracker = started(tmp_path), Recorder()
    tracker.is_down = True
    mirror = Mirror(folder, sweep, tracker)
    wait_until(lambda: mirror.trouble is not None)
    assert mirror.trouble == "Recorder: down; 2 trials wait" and not mirror.has_connected
    begun = time.monotonic()
    mirror.changed(sweep.trials[0].trial_id)
    assert time.monotonic() - begun < 0.1
    tracker.is_down = False
    assert mirror.close(10) == []
    assert tracker.calls.count("connect") > 1


def test_a_trial_that_a_tracker_refuses_holds_up_no_other(tmp_path: Path) -> None:
    (folder, sweep), tracker = started(tmp_path), Recorder()
    first, second = (entry.trial_id for entry in sweep.trials)
    tracker.refused = {first}
    mirror = Mirror(folder, sweep, tracker)
    assert mirror.close() == [first]
    assert second in tracker.calls and mirror.trouble == f"Recorder: {first} is refused; 1 trial waits"


def test_a_tracker_that_goes_down_is_not_asked_for_every_trial(tmp_path: Path) -> None:
    class GoesDown(Recorder):
        def upload(self, trial_id: str) -> None:
            self.is_down = True
            self.calls.append(f"tried {trial_id}")
            raise ValueError("no answer")

    (folder, sweep), tracker = started(tmp_path), GoesDown()
    mirror = Mirror(folder, sweep, tracker)
    wait_until(lambda: mirror.trouble is not None)
    assert tracker.calls[:2] == ["connect", f"tried {sweep.trials[0].trial_id}"]
    assert f"tried {sweep.trials[1].trial_id}" not in tracker.calls
    assert len(mirror.close(5)) == 2


def test_the_report_of_a_tracker_that_raises_is_told_in_a_line() -> None:
    tracker = Recorder()
    assert upload_report(tracker, ["table.md"]) is None
    assert tracker.calls == ["table.md", "exit"]
    tracker.is_down = True
    assert upload_report(tracker, ["table.md"]) == "Recorder: down"
