"""Runs a sweep through Ray Tune: trains what is missing and leaves everything else as it is."""

import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from wsnet.config.errors import counted
from wsnet.config.norm import OwnNormConfig
from wsnet.config.sweep import AshaConfig
from wsnet.storage import Folder, RungJournal, Status, patient, trial_directory
from wsnet.sweep.out_of_memory import failing_alone
from wsnet.sweep.plan import Plan
from wsnet.sweep.progress import STOPPED, ProgressDisplay, SweepProgress
from wsnet.sweep.ray_session import Session, interruptible, ray_session
from wsnet.sweep.resources import Allocation, allocate, whole_node
from wsnet.sweep.resume import TrialState, progress_so_far, read_states, unfinished
from wsnet.sweep.trainable import SweepContext, train_job, train_on_workers

if TYPE_CHECKING:
    from wsnet.sweep.callback import SweepCallback
    from wsnet.sweep.scheduler import JournaledAsha

__all__ = ["SweepOutcome", "run", "source_revision"]


@dataclass(frozen=True, kw_only=True)
class SweepOutcome:
    """How a sweep ended.

    Attributes:
        progress: the state of the trials.
        interrupted: the exit status if a signal stopped the sweep (130 for Ctrl-C); otherwise None.
    """

    progress: SweepProgress
    interrupted: int | None


def run(
    plan: Plan,
    *,
    folder: Folder,
    data_root: Path,
    address: str | None,
    console: Console,
    changed: Callable[[str], None],
    trouble: Callable[[], str | None] = lambda: None,
) -> SweepOutcome:
    """Train every trial of a plan that is not done yet.

    Args:
        plan: the plan; its manifest is already in the folder.
        folder: the sweep's folder.
        data_root: folder of the image sets.
        address: Ray cluster to join; None starts Ray here.
        console: where progress is drawn.
        changed: called with the trial_id whenever a trial's directory has changed.
        trouble: returns a line to show under the progress, or None.

    Raises:
        ConfigError: not even one trial fits the cluster.
        ConnectionError: there is no cluster at the address.
        StorageLost: the storage did not come back; what is written remains.
    """
    states = read_states(plan, folder)
    progress, missing = progress_so_far(states), unfinished(states)
    scheduler = _scheduler(plan, states, folder) if missing else None
    if scheduler is not None:
        missing = _without_stopped(missing, scheduler, folder, progress, changed)
    if not missing:
        console.print("Every trial is done already.", highlight=False)
        return SweepOutcome(progress=progress, interrupted=None)
    with (
        tempfile.TemporaryDirectory(prefix="wsnet-", ignore_cleanup_errors=True) as scratch,
        ray_session(address=address) as session,
    ):
        devices = {state.trial.config.execution.device for state in missing}
        allocation = allocate(plan.sweep.config.resources, session.nodes, devices=devices, path=plan.path)
        progress.concurrent = allocation.concurrent
        _announce(session, allocation, plan, console)
        context = SweepContext(
            folder=str(folder.local or folder.location),
            data_root=str(data_root.absolute()),
            configs={state.trial_id: state.trial.config.model_dump_json() for state in missing},
            workers=plan.sweep.config.resources.workers,
            cpus=allocation.cpus,
            gpus=allocation.gpus,
            max_failures=plan.sweep.config.resources.max_failures,
            scratch=scratch,
            rungs=() if scheduler is None else scheduler.rungs,
            storage_patience=_storage_patience(),
        )
        interrupted = None
        with (
            interruptible() as interruption,
            failing_alone(),
            ProgressDisplay(progress, console, trouble) as display,
            patient(_storage_patience(), display.waiting),
        ):
            from wsnet.sweep.callback import SweepCallback

            callback = SweepCallback(folder, progress, display, changed, has_scheduler=scheduler is not None)
            try:
                _tuner(plan, context, allocation, scheduler, callback).fit()
                if again := callback.retry_alone():
                    alone = replace(context, configs={key: context.configs[key] for key in again}, max_failures=0)
                    scheduler = _scheduler(plan, read_states(plan, folder), folder)
                    _tuner(plan, alone, whole_node(allocation, session.nodes), scheduler, callback).fit()
            except KeyboardInterrupt:
                interrupted = interruption.status
    if callback.lost is not None:
        raise callback.lost
    return SweepOutcome(progress=progress, interrupted=interrupted)


def _storage_patience() -> float:
    """Seconds that a sweep waits for remote storage that does not answer."""
    return float(os.environ.get("WSNET_STORAGE_PATIENCE", "180"))


def _scheduler(plan: Plan, states: list[TrialState], folder: Folder) -> "JournaledAsha | None":
    config = plan.sweep.config.scheduler
    if not isinstance(config, AshaConfig):
        return None
    from wsnet.sweep.scheduler import JournaledAsha

    longest = max(trial.config.train.epochs for trial in plan.trials)
    return JournaledAsha(config, max_t=longest, journal=RungJournal(folder), states=states)


def _without_stopped(
    missing: list[TrialState],
    scheduler: "JournaledAsha",
    folder: Folder,
    progress: SweepProgress,
    changed: Callable[[str], None],
) -> list[TrialState]:
    """Mark as stopped the trials whose stop is in the journal but not yet in their status; return the others."""
    stopped = scheduler.stopped(missing)
    for trial_id, rung in stopped.items():
        status = Status(status="stopped", epoch=rung, message=STOPPED)
        trial_directory(folder, trial_id).write_status(status)
        progress.ended(trial_id, status)
        changed(trial_id)
    return [state for state in missing if state.trial_id not in stopped]


def _announce(session: Session, allocation: Allocation, plan: Plan, console: Console) -> None:
    workers = plan.sweep.config.resources.workers
    each = f"{allocation.cpus:g} CPU" + (f", {allocation.gpus:g} GPU" if allocation.gpus else "")
    cpus, gpus = sum(node.cpus for node in session.nodes), sum(node.gpus for node in session.nodes)
    shares = f"{counted(allocation.concurrent, 'trial')} at a time, {counted(workers, 'worker')} of {each} each"
    console.print(f"Ray: {cpus:g} CPUs, {gpus:g} GPUs; {shares}", highlight=False)
    if session.dashboard:
        console.print(f"Ray dashboard: {session.dashboard}/#/jobs  (its token: ray get-auth-token)", highlight=False)


def _tuner(
    plan: Plan,
    context: SweepContext,
    allocation: Allocation,
    scheduler: "JournaledAsha | None",
    callback: "SweepCallback",
) -> Any:
    from ray import tune

    if context.workers == 1:
        function, need = train_job, {"cpu": allocation.cpus, **({"gpu": allocation.gpus} if allocation.gpus else {})}
    else:
        # The workers need the CPUs, so ask for one byte of memory, which every cluster always has.
        function, need = train_on_workers, {"memory": 1}
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(function, context=context), need),
        param_space={"trial_id": tune.grid_search(list(context.configs))},
        tune_config=tune.TuneConfig(
            scheduler=scheduler,
            reuse_actors=_may_reuse_actors(plan),
            max_concurrent_trials=allocation.concurrent,
        ),
        run_config=tune.RunConfig(
            name=plan.sweep.config.name,
            storage_path=context.scratch,  # Tune's own state; the results are in the sweep's folder.
            failure_config=tune.FailureConfig(max_failures=context.max_failures),
            callbacks=[callback],
            verbose=0,
        ),
    )


def _may_reuse_actors(plan: Plan) -> bool:
    """Whether one process may train one trial after the other.

    With several workers it would keep a stopped trial's workers; and a norm of the user's own may change torch's global
    settings, which would change the next trial's numbers.
    """
    has_own_norm = any(isinstance(trial.config.model.norm, OwnNormConfig) for trial in plan.trials)
    return plan.sweep.config.resources.workers == 1 and not has_own_norm


def source_revision() -> str | None:
    """Git revision of this code, followed by `+` if tracked files have changed since; None outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None
