"""More epochs: continues a finished trial where the same trial with more epochs is planned."""

from dataclasses import dataclass, replace

from wsnet.config.errors import counted
from wsnet.config.identity import trial_id
from wsnet.config.optim import ConstantConfig, MultiStepConfig
from wsnet.config.schedulers import FifoConfig
from wsnet.storage import DamagedFile, Folder, Status, trial_directory
from wsnet.sweep.planning.plan import Plan, PlannedTrial

__all__ = ["Shorter", "continue_shorter", "describe_shorter", "shorter_trials"]


@dataclass(frozen=True, kw_only=True)
class Shorter:
    """A finished trial that is equal but for its number of epochs.

    Attributes:
        trial: the longer trial, not started yet.
        trial_id: the shorter one.
        epochs: its epochs.
    """

    trial: PlannedTrial
    trial_id: str
    epochs: int

    @property
    def is_its_beginning(self) -> bool:
        """Whether the longer trial has the same first epochs, to the bit: no learning rate depends on their number.

        Milestones are part of a trial's identity, so that both trials have the same.
        """
        return isinstance(self.trial.config.optim.schedule, ConstantConfig | MultiStepConfig)


def shorter_trials(plan: Plan, folder: Folder) -> list[Shorter]:
    """For each trial of a plan that was never started: the longest finished one that is shorter, if any.

    Args:
        plan: the plan. With a scheduler that stops trials there are none: it decides in the epochs that were skipped.
        folder: the sweep's folder.
    """
    if not isinstance(plan.sweep.config.scheduler, FifoConfig):
        return []
    planned = {trial.entry.trial_id for trial in plan.trials}
    there = set((folder / "trials").names())
    finished: dict[str, int] = {}
    for name in there - planned:
        try:
            status = trial_directory(folder, name).status()
        except DamagedFile:
            continue
        if status is not None and status.status == "finished":
            finished[name] = status.epoch
    found = []
    for trial in plan.trials if finished else ():
        if trial.entry.trial_id in there:
            continue
        for epochs in sorted({e for e in finished.values() if e < trial.config.train.epochs}, reverse=True):
            if (name := _id_with(trial, epochs)) in finished:
                found.append(Shorter(trial=trial, trial_id=name, epochs=epochs))
                break
    return found


def continue_shorter(found: list[Shorter], folder: Folder) -> list[Shorter]:
    """Give trials the checkpoints and records of the shorter ones, as if they had been interrupted there.

    Args:
        found: the shorter trials; those that are not the beginning of the longer one are left alone.
        folder: the sweep's folder.

    Returns:
        those that continue; not those whose shorter trial has kept no checkpoint, or whose files are damaged.
    """
    return [one for one in found if one.is_its_beginning and _copied(one, folder)]


def describe_shorter(found: list[Shorter], *, is_planned: bool) -> list[str]:
    """Which trials continue, and which start anew although there are shorter ones; as lines.

    Args:
        found: the shorter trials.
        is_planned: whether this is yet to happen.
    """
    lines = []
    if same := [one for one in found if one.is_its_beginning]:
        verb = "would continue" if is_planned else "continues" if len(same) == 1 else "continue"
        ends = ", ".join(str(epochs) for epochs in sorted({one.epochs for one in same}))
        lines.append(f"{counted(len(same), 'trial')} {verb} where shorter ones ended, after epoch {ends}.")
    if other := [one for one in found if not one.is_its_beginning]:
        verb = "would start" if is_planned else "starts" if len(other) == 1 else "start"
        names = " and ".join(sorted({one.trial.config.optim.schedule.name for one in other}))
        lines.append(
            f"{counted(len(other), 'trial')} {verb} anew although there are shorter ones: with schedule {names}, "
            "the learning rate of every step depends on train.epochs."
        )
    return lines


def _id_with(trial: PlannedTrial, epochs: int) -> str:
    """The trial_id that a trial would have with another number of epochs."""
    train = trial.config.train.model_copy(update={"epochs": epochs})
    return trial_id(trial.config.model_copy(update={"train": train}), **trial.identity)


def _copied(shorter: Shorter, folder: Folder) -> bool:
    """Whether the shorter trial's files were copied: not if they are not whole, or another process is at the trial."""
    from wsnet.training.checkpoint import Checkpoint, CheckpointError

    source = trial_directory(folder, shorter.trial_id)
    target = trial_directory(folder, shorter.trial.entry.trial_id)
    try:
        execution, records = source.execution(), source.records()
        names = [name for name in source.folder.names() if name.endswith(".pt")]
        saved = {name: Checkpoint.from_bytes(source.folder.read(name) or b"", name) for name in names}
    except (DamagedFile, CheckpointError):
        return False
    if execution is None or "last.pt" not in saved or saved["last.pt"].epoch != shorter.epochs:
        return False
    with target.folder.try_lock() as is_locked:
        if not is_locked or target.status() is not None:
            return False
        target.write_execution(execution)  # With other threads or another layout, the bits would change here.
        target.write_records(records)
        for name, checkpoint in saved.items():
            target.folder.write(name, replace(checkpoint, trial_id=shorter.trial.entry.trial_id).to_bytes())
        target.write_status(Status(status="running", epoch=shorter.epochs))
    return True
