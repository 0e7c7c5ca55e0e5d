"""`fit_stacked`: train the seeds of one setting side by side, each to its end and in its own directory.

The last bits of a replicate's results depend on how many are computed side by side and on its place among them, but not
on what the others hold. So a stack is a list of seeds that never changes, and is part of the execution record. The
places of replicates that have ended, that the user has stopped, or that are an epoch ahead after an interruption are
computed too, and what comes out is dropped. Records are therefore bit-equal whatever happened to the other seeds.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from wsnet.config import TrialConfig
from wsnet.storage import Folder, Lease, Status, TrialDirectory
from wsnet.storage.trial_directory import Record
from wsnet.training.checkpoint import Checkpoint
from wsnet.training.execution import applied
from wsnet.training.fit import Result, ending
from wsnet.training.meter import StackedMeter
from wsnet.training.stacked import Replicate, StackedTraining
from wsnet.training.trial import Trial
from wsnet.training.trial_files import TrialWriter, as_executed_before, check_owner, check_stack, write_start

__all__ = ["fit_stacked"]

Report = Callable[[Mapping[str, Record]], Collection[str]]
"""Called after each epoch with a copy of the record of each replicate that was trained, by trial_id, once they are
saved. Returns the trial_ids of those to stop training; what they have is saved."""


def fit_stacked(
    trials: Sequence[Trial],
    *,
    report: Report,
    checkpoint_dirs: Mapping[str, Folder],
    watch: Callable[[int, int, float, StackedMeter], None] | None = None,
    on_start: Callable[[], None] = lambda: None,
) -> dict[str, Result]:
    """Train some seeds of one setting to their ends, from the start or from where they were interrupted.

    Args:
        trials: the whole stack, as `Trial.stacked` makes it.
        report: called after each epoch trained by this call.
        checkpoint_dirs: by trial_id, the directories of the trials to train, whose leases this call waits for and
            holds. The places of the others are computed, and nothing of them is kept.
        watch: called after each step.
        on_start: called once all directories are locked by this call.

    Returns:
        How each trial with a directory ended, by trial_id; without those that `report` stopped.

    Raises:
        TrialError: a trial cannot be trained as configured, or a directory is another trial's.
        ModelError: the model cannot be built.
        LeaseLost: another process has taken a directory over.
        ValueError: the trials cannot be stacked.
    """
    with ExitStack() as opened:
        members = [
            _Member(number, trial, opened.enter_context(checkpoint_dirs[trial.trial_id].lease()), folder)
            for number, trial in enumerate(trials)
            if (folder := checkpoint_dirs.get(trial.trial_id)) is not None
        ]
        on_start()
        for member in members:
            member.read()
        if unfinished := [member for member in members if not member.is_over]:
            for member in unfinished:
                write_start(member.trial, member.directory)
            first = unfinished[0]
            execution = as_executed_before(first.trial, first.directory).config.execution
            executed = [trial.executed(execution) for trial in trials]
            with applied(executed[0].config):
                for member in unfinished:
                    opened.callback(member.close)
                _train(executed, unfinished, report, watch)
        return {
            member.trial.trial_id: Result(status=member.status, records=member.records)
            for member in members
            if member.status is not None
        }


@dataclass
class _Member:
    """A replicate with a directory.

    Attributes:
        number: its place in the stack.
        trial: the trial.
        lease: of its directory.
        folder: its directory.
        records: of the completed epochs.
        checkpoint: where it resumes; None: at its beginning.
        status: how it ended; None while it has not.
        is_stopped: whether it is not to be trained any further by this call.
        writer: of its files, from when it is trained.
    """

    number: int
    trial: Trial
    lease: Lease
    folder: Folder
    records: list[Record] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    status: Status | None = None
    is_stopped: bool = False
    writer: TrialWriter | None = None

    @property
    def directory(self) -> TrialDirectory:
        """Its directory's files."""
        return TrialDirectory(self.folder)

    @property
    def is_over(self) -> bool:
        """Whether it needs no more epochs."""
        return self.status is not None or self.is_stopped

    @property
    def epoch(self) -> int:
        """Number of completed epochs."""
        return len(self.records)

    def read(self) -> None:
        """How far it is, by its directory."""
        directory = self.directory
        directory.set_aside_damaged()
        check_owner(self.trial, directory)
        status, records = directory.status(), directory.records()
        if status is not None and status.is_final and not status.lacks_records(records):
            self.status, self.records = status, records
            return
        check_stack(self.trial, directory)
        self.checkpoint = Checkpoint.latest(directory, workers=1)
        if self.checkpoint is not None:
            self.records = list(self.checkpoint.records)
            # It may have been killed after its last epoch, before its status was written.
            self.status = ending(self.trial.config.train, self.records)
            if self.status is not None:
                ended = _Ended(self.trial.config, self.checkpoint)
                TrialWriter(ended, directory, self.records, self.status).close()

    def begin(self, training: StackedTraining) -> None:
        """Open its files, now that `training` is where it is."""
        self.close()
        self.writer = TrialWriter(Replicate(training, self.number), self.directory, self.records, None)

    def save(self, record: Record) -> None:
        """Add an epoch."""
        assert self.writer is not None
        self.records.append(record)
        self.status = ending(self.trial.config.train, self.records)
        self.lease.check()
        self.writer.write(record, self.status)

    def close(self) -> None:
        """Close its files."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None


@dataclass(frozen=True)
class _Ended:
    """A trial that needs no more epochs, as a `TrialWriter` sees it."""

    config: TrialConfig
    last: Checkpoint

    @property
    def epoch(self) -> int:
        return self.last.epoch

    def checkpoint(self, records: list[Record]) -> Checkpoint:
        return replace(self.last, records=records)


def _train(
    trials: list[Trial],
    members: list[_Member],
    report: Report,
    watch: Callable[[int, int, float, StackedMeter], None] | None,
) -> None:
    """Epoch by epoch: those that are furthest behind are trained; the others join them when they get there."""
    training: StackedTraining | None = None
    trained: list[_Member] = []
    while left := [member for member in members if not member.is_over]:
        epoch = min(member.epoch for member in left)
        due = [member for member in left if member.epoch == epoch]
        if training is None or any(member not in trained for member in due):
            training = _started(trials, due, training, trained)
            for member in due:
                member.begin(training)
        records = training.train_epoch(watch, only=[member.number for member in due])
        for member in due:
            member.save(records[member.number])
        stopped = report({member.trial.trial_id: dict(records[member.number]) for member in due})
        for member in due:
            member.is_stopped = member.trial.trial_id in stopped
        trained = due


def _started(
    trials: list[Trial], due: list[_Member], before: StackedTraining | None, trained: list[_Member]
) -> StackedTraining:
    """The stack where the due members are. In the places of the others it does not matter what is computed."""
    if due[0].epoch == 0:
        return StackedTraining(trials)
    starts = {
        member.number: before.checkpoint(member.number, []) if before and member in trained else member.checkpoint
        for member in due
    }
    any_one = starts[due[0].number]
    found = [starts.get(number, any_one) for number in range(len(trials))]
    assert all(found), "who has completed an epoch has a checkpoint"
    return StackedTraining(trials, [start for start in found if start is not None])
