"""What each actor of a sweep knows, and how it prepares a trial from that."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsnet.config import TrialConfig
from wsnet.config.own_class import bring_sources
from wsnet.storage import Folder, RungJournal, Stops, TrialDirectory, trial_directory
from wsnet.sweep.stacks import Stack
from wsnet.sweep.trials.late_node import NodeNeeds

if TYPE_CHECKING:
    from wsnet.training import Trial
from collections.abc import Callable
from functools import lru_cache

__all__ = ["SweepContext", "images_here", "prepare_trial", "sharing"]

Job = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class SweepContext:
    """What every actor of a sweep needs to know; sent once, through Ray's object store.

    Attributes:
        folder: location of the sweep's folder.
        data_root: folder of the image sets.
        is_data_root_of_node: whether $WSNET_DATA of the node that a trial runs on comes before `data_root`.
        needs: what a node that joins later must have; None where none can.
        stacks: the stacks of seeds that are trained side by side, by the trial_id of the first trial of each.
        sources: content of the files of the user's own norms, which a node may not have.
        configs: configuration of each trial as JSON, by trial_id. (Tune's grid search is over the ids only: a grid over
            configurations would copy all of them for each trial.)
        workers: number of processes of one trial.
        cpus: CPUs of one worker.
        gpus: GPUs of one worker.
        max_failures: how many times a crashed trial is restarted.
        stall_timeout: seconds without a step after which a trial is ended; None: no limit.
        scratch: folder for Ray's own files; removed when the sweep ends.
        rungs: epochs at which the scheduler decides about each trial, by trial_id; empty without a scheduler.
        pauses: whether the scheduler pauses trials at rungs, which takes their workers away.
        settings: setting_id of each trial, by trial_id: the user may stop a setting.
        compiled: setting_ids that `execution.compile: auto` compiles.
        storage_patience: seconds that a trial waits for remote storage that does not answer.
    """

    folder: str
    data_root: str
    configs: dict[str, str]
    workers: int
    cpus: float
    gpus: float
    max_failures: int
    scratch: str
    rungs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    pauses: bool = False
    stall_timeout: float | None = None
    settings: dict[str, str] = field(default_factory=dict)
    compiled: frozenset[str] = frozenset()
    storage_patience: float = 0.0
    is_data_root_of_node: bool = False
    sources: tuple[bytes, ...] = ()
    needs: NodeNeeds | None = None
    stacks: dict[str, Stack] = field(default_factory=dict)

    @property
    def jobs(self) -> list[str]:
        """What Tune runs: trials alone, by trial_id, and stacks, by the trial_id of the first."""
        followers = {trial_id for stack in self.stacks.values() for trial_id in stack.trial_ids[1:]}
        return [trial_id for trial_id in self.configs if trial_id not in followers]

    @property
    def root(self) -> Path:
        """Folder of the image sets on this node."""
        return images_here(self.data_root, self.is_data_root_of_node)

    def config(self, trial_id: str) -> TrialConfig:
        """A trial's configuration as this machine runs it.

        Device `auto` becomes `cpu` if the trial was given no GPU, and compile `auto` what was decided for its setting.
        """
        config = TrialConfig.model_validate_json(self.configs[trial_id])
        update: dict[str, Any] = {}
        if not self.gpus and config.execution.device == "auto":
            update["device"] = "cpu"  # Ray leaves the GPUs visible to an actor that asked for none.
        if config.execution.compile == "auto":
            update["compile"] = self.settings.get(trial_id) in self.compiled and _can_compile(config)
        return config.model_copy(update={"execution": config.execution.model_copy(update=update)}) if update else config

    def of(self, trial_id: str) -> "SweepContext":
        """The part of the context that a single trial needs."""

        def only(of_trials: dict[str, Any]) -> dict[str, Any]:
            return {trial_id: of_trials[trial_id]} if trial_id in of_trials else {}

        return replace(self, configs=only(self.configs), rungs=only(self.rungs), settings=only(self.settings))

    def directory(self, trial_id: str) -> TrialDirectory:
        """The trial's directory."""
        return trial_directory(Folder(self.folder), trial_id)

    def is_stopped_by_user(self, trial_id: str) -> bool:
        """Whether the user has stopped the trial or its setting."""
        return Stops(Folder(self.folder)).has_any([self.settings.get(trial_id, trial_id), trial_id])

    def journal(self) -> RungJournal:
        """The scheduler's verdicts so far."""
        journal = RungJournal(Folder(self.folder))
        journal.refresh()
        return journal


def _can_compile(config: TrialConfig) -> bool:
    """Whether this node can: a C++ compiler may be missing here."""
    from wsnet.training.compiling import can_compile

    return can_compile(config)


def images_here(data_root: str, is_data_root_of_node: bool) -> Path:
    """Folder of the image sets on this node: see `SweepContext`."""
    return Path((is_data_root_of_node and os.environ.get("WSNET_DATA")) or data_root).expanduser()


def prepare_trial(trial_id: str, context: SweepContext) -> "Trial":
    """Prepare a trial with its images, which must be those that it was planned with.

    Planning has checked every file of a streamed set. Here the cached index is enough, unless it yields another
    trial_id: on another machine it may predate a file that was overwritten.

    Raises:
        TrialError: they are others.
    """
    from wsnet.training import Trial
    from wsnet.training.execution import TrialError

    bring_sources(context.sources)
    config, cpus = context.config(trial_id), max(1, int(context.cpus))
    for check in (False, True):
        trial = Trial.prepare(config, root=context.root, cpus=cpus, workers=context.workers, check=check)
        if trial.trial_id == trial_id:
            return trial
    raise TrialError(
        f"the images have changed since the sweep was planned (with them, this trial is {trial.trial_id}); "
        "run the same command again, which plans the sweep with the images as they are"
    )


def sharing(function: Job, context: SweepContext) -> Job:
    """The Tune function `function(config, context=context)`, with the context in Ray's object store.

    With `tune.with_parameters` every trial would read the whole context again: 20 ms for 10,000 trials.

    Args:
        function: takes Tune's config and, as a keyword, the context.
        context: the sweep's.
    """
    import ray

    reference = ray.put(context)

    def job(config: dict[str, Any]) -> None:
        function(config, context=_context(reference))

    job.__name__ = function.__name__  # Ray's dashboard shows it.
    return job


@lru_cache(maxsize=1)
def _context(reference: Any) -> SweepContext:
    import ray

    context: SweepContext = ray.get(reference)
    return context
