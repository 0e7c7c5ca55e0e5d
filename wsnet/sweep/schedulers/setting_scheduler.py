"""The Tune scheduler that runs the seeds of a setting from rung to rung, and stops or continues them together."""

from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from wsnet.storage import DamagedFile, TrialDirectory
from wsnet.sweep.schedulers.brackets import Decision
from wsnet.sweep.schedulers.decision_journal import SettingDecisions

__all__ = ["SettingScheduler"]


class SettingScheduler(TrialScheduler):  # type: ignore[misc]
    """Pauses each trial at its rung until its setting is decided about.

    Tune starts whatever is pending, in an order of its own. So every trial is added as paused, and only
    `choose_trial_to_run` starts trials. It also limits how many run: Tune's own limit counts those that are paused, and
    the sweep would hang.

    Args:
        decisions: the decisions about settings.
        concurrent: number of trials that run at the same time.
        directory: the directory of a trial.
        waits: called with the trial_id and the epoch when a trial is paused.
        start_ahead: whether to start the next trial while the last one is still being paused, so that Tune hands its
            process on. Not where a trial's workers need the resources of those before.
    """

    _supports_buffered_results = False

    def __init__(
        self,
        decisions: SettingDecisions,
        *,
        concurrent: int,
        directory: Callable[[str], TrialDirectory],
        waits: Callable[[str, int], None],
        start_ahead: bool,
    ) -> None:
        super().__init__()
        self._decisions, self._concurrent, self._directory = decisions, concurrent, directory
        self._waits, self._start_ahead = waits, start_ahead
        self._trials: dict[str, Trial] = {}
        self._queue: list[str] | None = None  # What may run, in the order in which to start it; None after a change.
        self._running: set[str] = set()
        self._leaving: set[str] = set()  # Paused or at its last epoch, but its process has not been told yet.
        self._gone: set[str] = set()  # Tune has let go of it, and it is not known yet how it ended.

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its scheduler with its own state, which is never used.

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Tune passes on its own metric, which is not used."""
        return True

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """A trial is new, or is tried again after a crash (then Tune starts it by itself)."""
        trial_id = _id(trial)
        self._trials[trial_id] = trial
        if trial_id in self._gone:
            self._gone.discard(trial_id)
            self._running.add(trial_id)
        else:
            trial.set_status(Trial.PAUSED)
            self._queue = None

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The next trial to start, or None: settings that are furthest along first, in the order of the sweep file."""
        self._look_after_gone(tune_controller)
        self._leaving = {trial_id for trial_id in self._leaving if self._trials[trial_id].status == Trial.RUNNING}
        busy = len(self._running) + (0 if self._start_ahead else len(self._leaving))
        if busy >= self._concurrent:
            return None
        if not busy:
            self._obey_others(tune_controller)
        trial_id = self._next_ready()
        if trial_id is None:
            return None
        self._running.add(trial_id)
        return self._trials[trial_id]

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """A trial reports an epoch, or its latest one again after a restart. `fit` ends it after its last epoch."""
        trial_id = _id(trial)
        if "epoch" not in result:
            return str(TrialScheduler.CONTINUE)
        self._stop_settings(tune_controller, self._decisions.reported(trial_id, result), but=trial_id)
        if self._decisions.is_over(trial_id):
            self._leave(trial_id)
            return str(TrialScheduler.CONTINUE)
        if self._decisions.must_stop(trial_id):
            self._running.discard(trial_id)
            return str(TrialScheduler.STOP)
        if self._decisions.may_run(trial_id):
            return str(TrialScheduler.CONTINUE)
        self._leave(trial_id)
        self._waits(trial_id, int(result["epoch"]))
        return str(TrialScheduler.PAUSE)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """A trial has crashed: for good, unless it is added again."""
        self._let_go(trial)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """A trial has ended by itself, or has been stopped with its setting."""
        self._let_go(trial)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """A trial that was paused has been stopped with its setting."""
        self._let_go(trial)

    def debug_string(self) -> str:
        """What Tune would print."""
        return "comparing settings"

    def _let_go(self, trial: Trial) -> None:
        trial_id = _id(trial)
        self._running.discard(trial_id)
        if not self._decisions.is_over(trial_id) and not self._decisions.must_stop(trial_id):
            self._gone.add(trial_id)

    def _leave(self, trial_id: str) -> None:
        self._running.discard(trial_id)
        self._leaving.add(trial_id)

    def _next_ready(self) -> str | None:
        """Take a trial from the queue; one that is still being paused stays there."""
        if self._queue is None:
            ready = [i for i in self._decisions.order if i in self._trials and self._decisions.may_run(i)]
            self._queue = sorted(ready, key=self._decisions.level, reverse=True)
        for place, trial_id in enumerate(self._queue):
            if self._trials[trial_id].status == Trial.PAUSED:
                return self._queue.pop(place)
        return None

    def _look_after_gone(self, tune_controller: Any) -> None:
        """Find out from their directories how trials have ended that did not tell."""
        # Tune gives a trial up without a word when the process that it was to take over is not free in time.
        unclear = sorted(self._gone | self._running)
        for trial_id in [i for i in unclear if self._trials[i].status in (Trial.ERROR, Trial.TERMINATED)]:
            self._gone.discard(trial_id)
            self._running.discard(trial_id)
            directory = self._directory(trial_id)
            try:
                status, records = directory.status(), directory.records()
            except DamagedFile:
                status, records = None, []
            self._stop_settings(tune_controller, self._decisions.left(trial_id, status, records))

    def _obey_others(self, tune_controller: Any) -> None:
        """Take in what another start of the sweep, running now, has decided."""
        self._decisions.catch_up()
        self._queue = None
        for trial_id, trial in self._trials.items():
            if trial.status == Trial.PAUSED and self._decisions.must_stop(trial_id):
                _stop(tune_controller, trial)

    def _stop_settings(self, tune_controller: Any, decisions: list[Decision], *, but: str | None = None) -> None:
        """Stop the trials of the settings that were decided to stop; Tune itself stops the one that it asks about."""
        self._queue = None if decisions else self._queue
        for decision in decisions:
            for trial_id in () if decision.continues else self._decisions.waiting(decision.setting_id):
                if trial_id != but and trial_id in self._trials:
                    _stop(tune_controller, self._trials[trial_id])


def _stop(tune_controller: Any, trial: Trial) -> None:
    trial.init_local_path()  # Tune names its folder when a trial starts, and needs the name of each at the end.
    tune_controller.stop_trial(trial)


def _id(trial: Trial) -> str:
    return str(trial.config["trial_id"])
