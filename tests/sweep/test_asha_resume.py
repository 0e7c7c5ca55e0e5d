"""What successive halving knows at a start of the sweep: its journal, and the records that it lacks."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tests.sweep.tiny import write
from wsnet.config import read_sweep
from wsnet.config.schedulers import AshaConfig
from wsnet.storage import Folder, RungJournal, Status, Verdict
from wsnet.storage.trial_directory import Record
from wsnet.sweep.planning.plan import PlannedTrial, make_plan
from wsnet.sweep.resume import TrialState

if TYPE_CHECKING:  # It imports Ray Tune, which takes seconds.
    from wsnet.sweep.schedulers.trial_scheduler import JournaledAsha

TRIALS = 5
EPOCHS = 8


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> list[PlannedTrial]:
    """Trials of 8 epochs."""
    folder = tmp_path_factory.mktemp("plan")
    path = write(folder, train={"epochs": EPOCHS}, grid={"optim.lr": [0.1 / 2**i for i in range(TRIALS)]})
    return make_plan(read_sweep(str(path), []), str(path), root=folder).trials


@pytest.fixture
def sweep(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "sweep")


def left(trial: PlannedTrial, *errors: float, status: str | None = "running") -> TrialState:
    """A trial with a validation error for each epoch done."""
    records: list[Record] = [
        {"epoch": float(epoch), "train/loss": 1.0, "validation/top1_error": error}
        for epoch, error in enumerate(errors, 1)
    ]
    known = Status(status=status, epoch=len(records)) if status else None  # type: ignore[arg-type]
    return TrialState(trial=trial, status=known, records=records)


def scheduler(sweep: Folder, *trials: TrialState, metric: str = "validation/top1_error") -> "JournaledAsha":
    from wsnet.sweep.schedulers.trial_scheduler import JournaledAsha

    config = AshaConfig.model_validate({"name": "asha", "grace": 1, "eta": 2, "metric": metric})
    return JournaledAsha(config, max_t=EPOCHS, journal=RungJournal(sweep), states=list(trials))


def told(asha: "JournaledAsha", trial: TrialState, epoch: int, error: float) -> str:
    """What becomes of a trial that tells of an epoch."""
    result = {"epoch": epoch, "validation/top1_error": error}
    return asha.on_trial_result(None, SimpleNamespace(config={"trial_id": trial.trial_id}), result)


def journal(sweep: Folder) -> list[tuple[str, int, float | None, str]]:
    read = RungJournal(sweep)
    read.refresh()
    return [(v.trial_id, v.rung, v.value, v.verdict) for v in read.verdicts()]


def test_the_rungs_are_those_of_ray() -> None:
    from wsnet.sweep.schedulers.trial_scheduler import JournaledAsha

    for grace, eta, epochs in [(1, 2, 8), (10, 3, 90), (1, 4, 100), (5, 2, 5), (1, 3, 243)]:
        config = AshaConfig(name="asha", grace=grace, eta=eta)
        asha = JournaledAsha(config, max_t=epochs, journal=RungJournal(Folder("mock://runs")), states=[])
        milestones = sorted(rung for rung, _ in asha._brackets[0]._rungs if rung < epochs)
        assert config.rungs(epochs) == (tuple(milestones),)


def test_a_verdict_is_written_down_and_stands(planned: list[PlannedTrial], sweep: Folder) -> None:
    good, bad = (left(trial, status=None) for trial in planned[:2])
    asha = scheduler(sweep, good, bad)
    assert (told(asha, good, 1, 10), told(asha, bad, 1, 90)) == ("CONTINUE", "STOP")
    assert told(asha, bad, 1, 5) == "STOP", "told again, it is not taken again"
    taken = [(good.trial_id, 1, 10, "continue"), (bad.trial_id, 1, 90, "stop")]
    assert journal(sweep) == taken
    again = scheduler(sweep, left(planned[0], 10), left(planned[1], 90))
    assert again.stopped([left(planned[1], 90)]) == {bad.trial_id: 1}
    assert (told(again, bad, 1, 90), told(again, good, 1, 10)) == ("STOP", "CONTINUE")
    assert journal(sweep) == taken


def test_a_verdict_that_was_cut_off_is_taken_from_the_record_of_its_own_rung(
    planned: list[PlannedTrial], sweep: Folder
) -> None:
    first = scheduler(sweep, left(planned[0], status=None), left(planned[1], status=None))
    told(first, left(planned[0]), 1, 10)
    trials = [left(planned[0], 10), left(planned[1], 90)]
    assert scheduler(sweep, *trials).stopped(trials) == {planned[1].entry.trial_id: 1}
    assert journal(sweep)[1:] == [(planned[1].entry.trial_id, 1, 90, "stop")]


def test_verdicts_that_were_cut_off_are_taken_in_the_order_of_the_plan(
    planned: list[PlannedTrial], tmp_path: Path
) -> None:
    one, other = left(planned[0], 50), left(planned[1], 40)
    assert scheduler(Folder(tmp_path / "1"), one, other).stopped([one, other]) == {}
    assert scheduler(Folder(tmp_path / "2"), other, one).stopped([one, other]) == {one.trial_id: 1}


def test_a_torn_verdict_is_taken_again(planned: list[PlannedTrial], sweep: Folder) -> None:
    trials = [left(planned[0], 10), left(planned[1], 90)]
    scheduler(sweep, *trials)
    taken, data = journal(sweep), sweep.read("rungs.jsonl") or b""
    sweep.write("rungs.jsonl", data[:-9])
    assert journal(sweep) == taken[:1]
    scheduler(sweep, *trials)
    assert (journal(sweep), sweep.read("rungs.jsonl")) == (taken, data)


def test_without_a_journal_a_trial_that_went_on_stays_and_what_ended_counts(
    planned: list[PlannedTrial], sweep: Folder
) -> None:
    finished = left(planned[0], *[10.0] * EPOCHS, status="finished")
    stopped = left(planned[1], 60, 70, status="stopped")
    on_its_way = left(planned[2], 90, 90, 90)
    asha = scheduler(sweep, on_its_way, finished, stopped)
    assert asha.stopped([on_its_way]) == {}, "though it is worse than all others"
    assert [verdict for _, _, _, verdict in journal(sweep)] == ["continue"] * 6 + ["stop"]
    assert told(asha, on_its_way, 4, 90) == "STOP", "a rung that is new"


def test_a_trial_at_its_own_end_is_not_stopped_there(planned: list[PlannedTrial], sweep: Folder) -> None:
    """Killed after its last record, before its status: `fit` says how it ended, as without the kill."""
    good = left(planned[0], 10)
    diverged = left(planned[1], 90)
    diverged.records[-1]["train/loss"] = math.nan
    asha = scheduler(sweep, good, diverged)
    assert asha.stopped([good, diverged]) == {}
    assert journal(sweep) == [(diverged.trial_id, 1, 90, "continue"), (good.trial_id, 1, 10, "continue")]


def test_a_trial_without_a_finite_value_ranks_worst_and_breaks_no_percentile(
    planned: list[PlannedTrial], sweep: Folder
) -> None:
    trials = [left(trial, status=None) for trial in planned]
    asha = scheduler(sweep, *trials)
    assert told(asha, trials[0], 1, math.inf) == "CONTINUE", "nothing is there yet to compare it with"
    assert told(asha, trials[1], 1, 90) == "CONTINUE", "better than one that diverged"
    assert told(asha, trials[2], 1, math.nan) == "STOP"
    assert told(asha, trials[3], 1, 20) == "CONTINUE"
    assert [value for _, _, value, _ in journal(sweep)] == [None, 90, None, 20]
    again = scheduler(sweep, *trials)
    assert told(again, trials[4], 1, 95) == "CONTINUE", "the median lies between 90 and worst"


def test_trials_that_are_no_longer_in_the_sweep_do_not_count(planned: list[PlannedTrial], sweep: Folder) -> None:
    told(scheduler(sweep, left(planned[0], status=None)), left(planned[0]), 1, 10)
    new = left(planned[1], status=None)
    assert told(scheduler(sweep, new), new, 1, 90) == "CONTINUE"


def test_another_metric_decides_on_its_own_values_and_leaves_old_verdicts(
    planned: list[PlannedTrial], sweep: Folder
) -> None:
    trial, other = left(planned[0], 10), left(planned[1], status=None)
    trial.records[0]["validation/loss"] = 3.0
    scheduler(sweep, trial)
    asha = scheduler(sweep, trial, other, metric="validation/loss")
    result = {"epoch": 1, "validation/loss": 4.0}
    action = asha.on_trial_result(None, SimpleNamespace(config={"trial_id": other.trial_id}), result)
    assert action == "STOP", "worse than 3, better than 10"
    assert len(journal(sweep)) == 2


def test_a_second_start_at_the_same_time_obeys_the_verdicts_of_the_first(
    planned: list[PlannedTrial], sweep: Folder
) -> None:
    trials = [left(trial, status=None) for trial in planned[:3]]
    one, other = scheduler(sweep, *trials), scheduler(sweep, *trials)
    told(one, trials[0], 1, 10)
    assert told(one, trials[1], 1, 90) == "STOP"
    assert told(other, trials[1], 1, 90) == "STOP"
    assert told(other, trials[2], 1, 80) == "STOP", "it counts what the first has measured"
    assert len(journal(sweep)) == 3


def test_a_stop_counts_only_as_far_as_the_records_reach(planned: list[PlannedTrial], sweep: Folder) -> None:
    """A trial whose directory was deleted is trained again up to its rung, and stopped there."""
    trial = left(planned[0], status=None)
    verdict = Verdict(trial_id=trial.trial_id, rung=2, metric="validation/top1_error", value=90.0, verdict="stop")
    earlier = RungJournal(sweep)
    with earlier.held():
        earlier.add([verdict])
    asha = scheduler(sweep, trial)
    assert asha.stopped([trial]) == {}
    assert (told(asha, trial, 1, 10), told(asha, trial, 2, 10)) == ("CONTINUE", "STOP")
