import heapq
import random

import pytest

from wsnet.config import read_sweep
from wsnet.data import data_root
from wsnet.storage import Status, TrialEntry
from wsnet.sweep import time_left
from wsnet.sweep.planning.plan import make_plan
from wsnet.sweep.progress import SweepProgress
from wsnet.sweep.time_left import EpochTimes, SlotUse, makespan, start_order


def entry(setting: str, *, seed: int = 0, cost: float | None = None, epochs: int = 3) -> TrialEntry:
    name = f"{setting}-s{seed}"
    return TrialEntry(trial_id=name, setting_id=setting, seed=seed, name=name, axes={}, epochs=epochs, epoch_cost=cost)


class Clock:
    """Stands in for `time`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("wsnet.sweep.progress.time", made)
    monkeypatch.setattr(time_left, "time", made)
    return made


def test_seeds_come_in_turn_and_of_one_seed_the_longest_trial_starts_first() -> None:
    trials = [
        entry("short", cost=1.0),
        entry("long", cost=9.0),
        entry("many epochs", cost=2.0, epochs=30),
        entry("long", seed=1, cost=9.0),
        entry("short", seed=1, cost=1.0),
    ]
    order = [trial.name for trial in sorted(trials, key=start_order)]
    assert order == ["many epochs-s0", "long-s0", "short-s0", "long-s1", "short-s1"]


def test_trials_without_a_known_cost_keep_the_order_of_the_file() -> None:
    trials = [entry("b"), entry("a"), entry("c")]
    assert sorted(trials, key=start_order) == trials


def test_a_setting_without_an_epoch_is_expected_at_the_speed_of_the_others() -> None:
    times = EpochTimes([entry("a", cost=100.0), entry("b", cost=50.0), entry("c", cost=7.0)])
    assert times.expected() is None
    times.measured("a", 10.0)
    assert times.expected() == {"a": 10.0, "b": 5.0, "c": pytest.approx(0.7)}
    times.measured("b", 50.0)
    assert times.expected() == {"a": 10.0, "b": 50.0, "c": pytest.approx(7 * (0.1 + 1.0) / 2)}


def test_where_costs_are_missing_the_others_take_the_mean() -> None:
    times = EpochTimes([entry("a", cost=100.0), entry("b"), entry("c")])
    times.measured("a", 10.0)
    times.measured("b", 2.0)
    assert times.expected() == {"a": 10.0, "b": 2.0, "c": 6.0}


def test_each_trial_starts_as_soon_as_a_slot_is_free() -> None:
    assert makespan([3.0, 3.0, 2.0], 2) == 5.0
    assert makespan([2.0, 9.0], 4) == 9.0, "slots without a trial shorten nothing"
    assert makespan([], 2) == 0.0


def test_the_epoch_that_runs_counts_as_far_as_it_is(clock: Clock) -> None:
    progress = SweepProgress([entry("a", epochs=10)], {"a-s0": 10})
    progress.started("a-s0")
    clock.now += 20.0
    progress.measured("a-s0", {"epoch": 1, "time/epoch_seconds": 20.0})
    assert progress.seconds_left() == pytest.approx(180, rel=0.01)
    clock.now += 15.0
    assert progress.seconds_left() == pytest.approx(165, rel=0.01)
    clock.now += 1000.0
    assert progress.seconds_left() == pytest.approx(160, rel=0.01), "one epoch is late, not all that follow"


def test_after_a_tenth_of_the_work_the_time_left_is_right_within_a_fifth(clock: Clock) -> None:
    """Sweeps as the quickstart: trials of one seed differ by a factor of 50, and counts are wrong by up to 40 %."""
    for number in range(20):
        left, truly = _at_a_tenth(random.Random(number), clock)
        assert left == pytest.approx(truly, rel=0.2), f"sweep {number}"


def _at_a_tenth(draw: random.Random, clock: Clock) -> tuple[float, float]:
    """The time left as estimated when a tenth of a simulated sweep's work is done, and as it turned out."""
    costs = {f"{n}-b{size}": 60.0 / size for n in range(7) for size in (1, 8, 64)}
    seconds = {setting: cost * draw.uniform(0.7, 1.4) for setting, cost in costs.items()}
    trials = [entry(setting, seed=seed, cost=cost) for setting, cost in costs.items() for seed in range(5)]
    events, ends = [], [0.0, 0.0]
    for trial in sorted(trials, key=start_order):
        now = ends[0]
        events.append((now, trial, 0, 0.0))
        for epoch in (1, 2, 3):
            took = seconds[trial.setting_id] * draw.uniform(0.9, 1.1)
            now += took
            events.append((now, trial, epoch, took))
        heapq.heapreplace(ends, now)
    work, done, began = sum(event[3] for event in events), 0.0, clock.now
    progress = SweepProgress(trials, {trial.trial_id: 3 for trial in trials}, concurrent=2)
    for when, trial, epoch, took in sorted(events, key=lambda event: event[0]):
        clock.now = began + when
        _tell(progress, trial.trial_id, epoch, took)
        done += took
        if done >= work / 10:
            left = progress.seconds_left()
            assert left is not None
            return left, max(ends) - when
    raise AssertionError


def _tell(progress: SweepProgress, trial_id: str, epoch: int, took: float) -> None:
    if epoch == 0:
        progress.started(trial_id)
        return
    progress.measured(trial_id, {"epoch": epoch, "time/epoch_seconds": took})
    if epoch == 3:
        progress.ended(trial_id, Status(status="finished", epoch=3))


def test_utilization_is_the_time_in_epochs_over_that_of_the_slots(clock: Clock) -> None:
    trials = [entry("a", epochs=1), entry("b", epochs=1), entry("c", epochs=1)]
    progress = SweepProgress(trials, {trial.trial_id: 1 for trial in trials}, concurrent=2)
    progress.measured("c-s0", {"epoch": 1, "time/epoch_seconds": 500.0})  # In an earlier start.
    assert progress.utilization is None
    progress.started("a-s0")
    progress.started("b-s0")
    clock.now += 10.0
    for trial_id in ("a-s0", "b-s0"):
        progress.measured(trial_id, {"epoch": 1, "time/epoch_seconds": 8.0})
        progress.ended(trial_id, Status(status="finished", epoch=1))
    clock.now += 100.0
    assert progress.utilization == pytest.approx(16.0 / 20.0), "what comes after the last trial does not count"


def test_slots_that_no_trial_needed_are_not_idle(clock: Clock) -> None:
    use = SlotUse()
    use.started("a")
    clock.now += 4.0
    use.worked(4.0)
    assert use.share(8) == pytest.approx(1.0)


def test_the_costs_of_a_plan_are_in_its_manifest() -> None:
    plan = make_plan(read_sweep("sweeps/quickstart.yaml", ["seeds=1"]), "quickstart.yaml", root=data_root())
    costs = {trial.entry.name: trial.entry.epoch_cost for trial in plan.trials}
    assert all(costs.values())
    one, many = costs["gn-g4-b1-s0"], costs["gn-g4-b64-s0"]
    assert one is not None and many is not None
    assert one > 5 * many, "a step of one image takes much longer than a 64th of a step of 64"
