"""A sweep without training and without Ray, whose trials reach the rungs of a scheduler in a random order."""

import json
import math
import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from wsnet.config.schedulers import RungConfig
from wsnet.storage import Folder, RungJournal, Status
from wsnet.storage.trial_directory import Record
from wsnet.sweep.planning.plan import PlannedTrial
from wsnet.sweep.resume import TrialState
from wsnet.sweep.schedulers.decision_journal import SettingDecisions

__all__ = ["EPOCHS", "METRIC", "Journal", "Sweep", "Values", "drawn"]

EPOCHS = 27
METRIC = "validation/top1_error"

Values = Callable[[str, int], float]
"""The training loss and the error of a trial after an epoch."""

Journal = list[tuple[str, int, float | None, str, float | None]]
"""Trial, rung, value, verdict and median of each decision."""


class Sweep:
    """A sweep without training: trials advance by one epoch at a time, in a random order."""

    def __init__(
        self, config: RungConfig, planned: list[PlannedTrial], folder: Path, values: Values, *, shuffle: int = 0
    ) -> None:
        self.config, self.planned, self.folder, self.values = config, planned, Folder(folder), values
        self.random = random.Random(shuffle)
        self.records: dict[str, list[Record]] = {trial.entry.trial_id: [] for trial in planned}
        self.statuses: dict[str, str] = {}
        self.failing: dict[str, int] = {}
        """Epoch in which a trial crashes for good."""
        self.start()

    def start(self) -> None:
        """Start the sweep, or start it again after a kill."""
        self.decisions = SettingDecisions(
            self.config, epochs=EPOCHS, journal=RungJournal(self.folder), states=[self.state(t) for t in self.planned]
        )

    def state(self, trial: PlannedTrial) -> TrialState:
        records, status = self.records[trial.entry.trial_id], self.statuses.get(trial.entry.trial_id)
        known = Status(status=status, epoch=len(records)) if status else None  # type: ignore[arg-type]
        return TrialState(trial=trial, status=known, records=list(records))

    def step(self) -> bool:
        """Train one epoch of a trial that may run; False if there is none."""
        ready = [trial_id for trial_id in self.decisions.order if self.decisions.may_run(trial_id)]
        if not ready:
            return False
        trial_id = self.random.choice(ready)
        epoch = len(self.records[trial_id]) + 1
        if self.failing.get(trial_id) == epoch:
            self.decisions.left(trial_id, Status(status="failed", epoch=epoch - 1), self.records[trial_id])
            return True
        value = self.values(trial_id, epoch)
        # Of a trial that diverges, a few classes may still be right by chance.
        error = value if math.isfinite(value) else 0.0
        self.records[trial_id].append({"epoch": float(epoch), "train/loss": value, METRIC: error})
        self.decisions.reported(trial_id, self.records[trial_id][-1])
        if not math.isfinite(value):
            self.statuses[trial_id] = "diverged"
        elif epoch == EPOCHS:
            self.statuses[trial_id] = "finished"
        return True

    def run(self) -> "Sweep":
        """Run to the end."""
        while self.step():
            pass
        return self

    def killed(self) -> "Sweep":
        """Start anew; in one case of two, the last bytes of the journal have not been written."""
        data = self.folder.read("rungs.jsonl") or b""
        if data and self.random.random() < 0.5:
            self.folder.write("rungs.jsonl", data[: -self.random.randrange(1, min(600, len(data)))])
        self.start()
        return self

    def journal(self) -> Journal:
        """The journal, sorted: the order is that of the decisions."""
        lines = [json.loads(line) for line in (self.folder.read("rungs.jsonl") or b"").splitlines()]
        return sorted((v["trial_id"], v["rung"], v["value"], v["verdict"], v["median"]) for v in lines)

    def epochs(self) -> dict[str, list[int]]:
        """How far the seeds of each setting got."""
        found = defaultdict(list)
        for trial in self.planned:
            found[trial.entry.setting_id].append(len(self.records[trial.entry.trial_id]))
        return dict(found)


def drawn(planned: list[PlannedTrial], seed: int, *, diverging: float = 0.0) -> Values:
    """Curves that cross; some trials diverge at some epoch."""
    source = random.Random(seed)
    curves = {trial.entry.trial_id: [source.random() for _ in range(EPOCHS)] for trial in planned}
    ends = {trial_id: source.randrange(1, EPOCHS) if source.random() < diverging else EPOCHS + 1 for trial_id in curves}
    return lambda trial_id, epoch: math.nan if epoch >= ends[trial_id] else curves[trial_id][epoch - 1]
