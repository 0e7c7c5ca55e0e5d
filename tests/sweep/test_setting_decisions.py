"""Settings compared at rungs: whatever the order of arrival, and wherever a sweep is cut off. Without Ray."""

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.sweep.simulated import EPOCHS, METRIC, Sweep, drawn
from tests.sweep.tiny import write
from wsnet.config import read_sweep
from wsnet.config.schedulers import AshaConfig, HyperbandConfig, MedianConfig, RungConfig
from wsnet.storage import Folder, RungJournal, Status
from wsnet.sweep.planning.plan import PlannedTrial, make_plan
from wsnet.sweep.resume import TrialState
from wsnet.sweep.schedulers.decision_journal import SettingDecisions
from wsnet.sweep.schedulers.stopping_rules import deal

SETTINGS, SEEDS = 8, 3


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> list[PlannedTrial]:
    """8 settings x 3 seeds of 27 epochs."""
    folder = tmp_path_factory.mktemp("plan")
    lrs = [0.1 / 2**i for i in range(SETTINGS)]
    path = write(folder, train={"epochs": EPOCHS}, grid={"optim.lr": lrs}, seeds=SEEDS)
    return make_plan(read_sweep(str(path), []), str(path), root=folder).trials


def asha(mode: str = "sync", **options: Any) -> AshaConfig:
    return AshaConfig.model_validate({"name": "asha", "mode": mode, "compare": "settings", **options})


CONFIGS: dict[str, RungConfig] = {
    "asha": asha(),
    "hyperband": HyperbandConfig(name="hyperband", mode="sync"),
    "median": MedianConfig(name="median", mode="sync", grace=4, interval=3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CONFIGS))
@pytest.mark.parametrize("draw", range(4))
def test_sync_decides_the_same_in_whatever_order_trials_arrive_and_wherever_it_is_killed(
    name: str, draw: int, planned: list[PlannedTrial], tmp_path: Path
) -> None:
    values = drawn(planned, draw, diverging=0.2 if draw % 2 else 0.0)
    expected = Sweep(CONFIGS[name], planned, tmp_path / "expected", values).run()
    assert len(expected.journal()) > SETTINGS * SEEDS / 2
    for order in range(1, 4):
        other = Sweep(CONFIGS[name], planned, tmp_path / str(order), values, shuffle=order)
        while other.step():
            if other.random.random() < 0.02:
                other.killed()
        other.killed().run()
        assert other.journal() == expected.journal()
        assert json.dumps(other.records) == json.dumps(expected.records)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["async", "sync"])
@pytest.mark.parametrize("name", list(CONFIGS))
def test_no_setting_is_ever_split_over_rungs(name: str, mode: str, planned: list[PlannedTrial], tmp_path: Path) -> None:
    config = CONFIGS[name].model_copy(update={"mode": mode})
    for draw in range(6):
        sweep = Sweep(config, planned, tmp_path / str(draw), drawn(planned, draw), shuffle=draw)
        while sweep.step():
            if sweep.random.random() < 0.01:
                sweep.killed()
        ends = list(sweep.epochs().values())
        assert all(len(set(seeds)) == 1 for seeds in ends), ends
        assert [EPOCHS] * SEEDS in ends
        assert sum(map(sum, ends)) < 0.75 * SETTINGS * SEEDS * EPOCHS
        verdicts = defaultdict(set)
        for trial_id, rung, _, verdict, median in sweep.journal():
            verdicts[sweep.decisions._setting_of[trial_id], rung].add((verdict, median))
        assert all(len(found) == 1 for found in verdicts.values()), "one verdict and one median for all its seeds"


def test_a_rung_keeps_the_best_third_by_the_median_and_ties_go_by_the_order_of_the_file(
    planned: list[PlannedTrial], tmp_path: Path
) -> None:
    settings = list(dict.fromkeys(trial.entry.setting_id for trial in planned))
    # The mean of the third setting is the best, its median is not; the others tie in pairs.
    errors = [[5, 5, 5], [3, 3, 3], [0, 3.5, 3.6], [3, 3, 3], [7, 7, 7], [3, 3, 3], [8, 8, 8], [8, 8, 8]]
    by_trial = {trial.entry.trial_id: errors[i // SEEDS][i % SEEDS] for i, trial in enumerate(planned)}
    sweep = Sweep(asha(), planned, tmp_path, lambda trial_id, epoch: float(by_trial[trial_id])).run()
    ends = {settings.index(setting): seeds[0] for setting, seeds in sweep.epochs().items()}
    assert ends == {0: 1, 1: 27, 2: 1, 3: 3, 4: 1, 5: 1, 6: 1, 7: 1}
    assert sum(map(sum, sweep.epochs().values())) == 108


def test_a_diverged_seed_ranks_worst_and_a_failed_one_is_left_out(planned: list[PlannedTrial], tmp_path: Path) -> None:
    first, second = [trial.entry.trial_id for trial in planned[:SEEDS]], planned[SEEDS].entry.trial_id
    error = {trial.entry.trial_id: 10.0 + i // SEEDS for i, trial in enumerate(planned)}
    error |= {first[0]: 1.0, first[1]: math.nan, first[2]: math.nan}
    sweep = Sweep(asha(), planned, tmp_path, lambda trial_id, epoch: error[trial_id])
    sweep.failing = {second: 1}
    sweep.run()
    rows = {
        trial_id: (value, verdict, median) for trial_id, rung, value, verdict, median in sweep.journal() if rung == 1
    }
    assert rows[first[0]] == (1.0, "stop", None), "its two siblings diverged"
    assert rows[first[1]] == (None, "stop", None)
    assert second not in rows and rows[planned[SEEDS + 1].entry.trial_id] == (11.0, "continue", 11.0)
    sweep.failing = {}
    assert not sweep.decisions.may_run(second)
    sweep.killed().run()
    assert len(sweep.records[second]) == 27, "tried again, it follows its setting"


def test_a_setting_all_of_whose_seeds_fail_is_out_and_no_rung_waits_for_it(
    planned: list[PlannedTrial], tmp_path: Path
) -> None:
    sweep = Sweep(asha(), planned, tmp_path, drawn(planned, 0))
    sweep.failing = {trial.entry.trial_id: 1 for trial in planned[:SEEDS]}
    sweep.run()
    assert [EPOCHS] * SEEDS in sweep.epochs().values()
    assert not {row[0] for row in sweep.journal()} & set(sweep.failing)
    assert all(len(set(seeds)) == 1 for seeds in list(sweep.epochs().values())[1:])


def test_async_promotes_before_the_rung_is_closed_and_stops_only_when_it_is(
    planned: list[PlannedTrial], tmp_path: Path
) -> None:
    decisions = Sweep(asha("async"), planned, tmp_path, drawn(planned, 0)).decisions
    found = []
    for i, trial in enumerate(planned):
        record = {"epoch": 1.0, "train/loss": 1.0, METRIC: 10.0 - i // SEEDS}
        found.append([(d.setting_id, d.continues) for d in decisions.reported(trial.entry.trial_id, record)])
    settings = [trial.entry.setting_id for trial in planned]
    assert [i for i, decided in enumerate(found) if decided] == [8, 11, 14, 17, 20, 23]
    assert found[8] == [(settings[8], True)], "the best of three"
    assert found[23] == [(setting, setting == settings[23]) for setting in (settings[0], settings[3], settings[23])]


def test_a_setting_with_fewer_epochs_counts_with_its_last_value(tmp_path: Path) -> None:
    cases = [{"optim.lr": 0.1, "train.epochs": 2}, {"optim.lr": 0.05}, {"optim.lr": 0.01}]
    path = write(tmp_path, train={"epochs": EPOCHS}, cases=cases, seeds=2)
    trials = make_plan(read_sweep(str(path), []), str(path), root=tmp_path).trials
    states = [TrialState(trial=trial, status=None, records=[]) for trial in trials]
    decisions = SettingDecisions(asha(grace=3), epochs=EPOCHS, journal=RungJournal(Folder(tmp_path)), states=states)

    def report(place: int, epoch: int, error: float) -> list[tuple[int, bool]]:
        record = {"epoch": float(epoch), "train/loss": 1.0, METRIC: error}
        found = decisions.reported(trials[place].entry.trial_id, record)
        return [([t.entry.setting_id for t in trials].index(d.setting_id), d.continues) for d in found]

    assert [report(place, 2, 5.0) for place in range(2)] == [[], []]
    assert decisions.is_over(trials[0].entry.trial_id) and not decisions.may_run(trials[0].entry.trial_id)
    assert [report(place, 3, error) for place, error in ((2, 4.0), (3, 4.0), (4, 6.0))] == [[], [], []]
    assert report(5, 3, 6.0) == [(0, False), (2, True), (4, False)]


def test_lines_of_single_trials_count_for_their_settings(planned: list[PlannedTrial], tmp_path: Path) -> None:
    """A sweep of one seed, compared by trials, gets more seeds: what was stopped is trained to its rung only."""
    ids = [trial.entry.trial_id for trial in planned]
    lines = [
        {"trial_id": ids[0], "rung": 1, "metric": METRIC, "value": 5.0, "verdict": "continue"},
        {"trial_id": ids[3], "rung": 1, "metric": METRIC, "value": 9.0, "verdict": "stop"},
    ]
    Folder(tmp_path).write("rungs.jsonl", b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    sweep = Sweep(asha(), planned, tmp_path, lambda trial_id, epoch: 1.0)
    sweep.records[ids[0]] = [{"epoch": 1.0, "train/loss": 1.0, METRIC: 5.0}]
    sweep.records[ids[3]] = [{"epoch": 1.0, "train/loss": 1.0, METRIC: 9.0}]
    sweep.statuses[ids[3]] = "stopped"
    sweep.start()
    assert sweep.decisions.may_run(ids[0]) and sweep.decisions.may_run(ids[4])
    sweep.run()
    assert sweep.epochs()[planned[3].entry.setting_id] == [1, 1, 1]
    assert sweep.epochs()[planned[0].entry.setting_id][0] > 1


def test_new_settings_and_new_seeds_are_compared_with_what_was_decided(
    planned: list[PlannedTrial], tmp_path: Path
) -> None:
    fewer = [trial for trial in planned[:-SEEDS] if trial.entry.seed < 2]
    values = drawn(planned, 3)
    sweep = Sweep(asha(), fewer, tmp_path, values).run()
    before, records = sweep.journal(), sweep.records
    ends = {setting: seeds[0] for setting, seeds in sweep.epochs().items()}
    wider = Sweep(asha(), planned, tmp_path, values)
    wider.records |= records
    wider.start()
    wider.run()
    assert set(before) <= set(wider.journal())
    passed = {
        (trial_id, rung) for trial_id, records in wider.records.items() for rung in (1, 3, 9) if len(records) >= rung
    }
    assert {row[:2] for row in wider.journal()} == passed, "the workers of a new seed wait for its own line"
    got = wider.epochs()
    assert {setting: got[setting] for setting in ends} == {setting: [end] * SEEDS for setting, end in ends.items()}


def test_what_was_decided_before_a_kill_is_carried_out_at_the_next_start(
    planned: list[PlannedTrial], tmp_path: Path
) -> None:
    sweep = Sweep(asha(), planned, tmp_path, drawn(planned, 2))
    while not sweep.journal():
        sweep.step()
    sweep.start()
    stopped = sweep.decisions.stopped([sweep.state(trial) for trial in planned])
    stops = {trial_id for trial_id, _, _, verdict, _ in sweep.journal() if verdict == "stop"}
    assert stopped == dict.fromkeys(stops, 1) and len(stopped) == (SETTINGS - 2) * SEEDS
    assert not any(sweep.decisions.may_run(trial_id) for trial_id in stopped)


def test_two_starts_at_once_obey_the_same_decisions(planned: list[PlannedTrial], tmp_path: Path) -> None:
    one = Sweep(asha(), planned, tmp_path, drawn(planned, 1))
    other = Sweep(asha(), planned, tmp_path, drawn(planned, 1))
    one.run()
    other.records, other.statuses = one.records, one.statuses
    other.decisions.catch_up()
    for trial in planned:
        trial_id = trial.entry.trial_id
        other.decisions.left(trial_id, Status(status="running"), one.records[trial_id])
    assert other.journal() == one.journal()


def test_hyperband_deals_by_share_and_a_setting_at_the_end_moves_no_other() -> None:
    names = [str(i) for i in range(22)]
    dealt = deal(names, brackets=3, eta=3)  # Shares 9/3, 3/2, 1.
    assert [len(part) for part in dealt] == [12, 6, 4]
    assert sorted((name for part in dealt for name in part), key=int) == names
    assert all(part == sorted(part, key=int) for part in dealt)
    longer = deal([*names, "22"], brackets=3, eta=3)
    assert [part[: len(before)] for part, before in zip(longer, dealt, strict=True)] == dealt


def test_the_rungs_of_each_scheduler() -> None:
    assert asha(grace=2).rungs(27) == ((2, 6, 18),)
    assert HyperbandConfig(name="hyperband").rungs(27) == ((1, 3, 9), (3, 9), (9,))
    assert MedianConfig(name="median", grace=5, interval=4).rungs(17) == ((8, 12, 16),)


@pytest.mark.parametrize("over", [(), ("optim.lr",)])
def test_only_the_candidates_for_one_cell_are_compared(tmp_path: Path, over: tuple[str, ...]) -> None:
    grid = {"train.batch_size": [4, 8], "optim.lr": [0.1, 0.2, 0.3]}
    path = write(tmp_path, train={"epochs": 3}, grid=grid)
    trials = make_plan(read_sweep(str(path), []), str(path), root=tmp_path).trials
    states = [TrialState(trial=trial, status=None, records=[]) for trial in trials]
    decisions = SettingDecisions(
        asha(grace=1), epochs=3, journal=RungJournal(Folder(tmp_path)), states=states, over=over
    )
    for state in states:  # Batches of 8 are worse at any learning rate.
        value = state.trial.config.optim.lr + 10 * (state.trial.config.train.batch_size == 8)
        decisions.reported(state.trial_id, {"epoch": 1.0, "train/loss": 1.0, METRIC: value})
    kept = [state.trial.config for state in states if not decisions.must_stop(state.trial_id)]
    found = [(config.train.batch_size, config.optim.lr) for config in kept]
    assert found == ([(4, 0.1), (8, 0.1)] if over else [(4, 0.1), (4, 0.2)])
