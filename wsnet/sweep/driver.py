"""A sweep, run: what is missing is trained, everything else is left as it is."""

import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from wsnet.config.sweep import AshaConfig
from wsnet.storage import Folder, trial_directory
from wsnet.sweep.job import Jobs, train_job
from wsnet.sweep.plan import Plan, PlannedTrial
from wsnet.sweep.progress import Board, Tally
from wsnet.sweep.session import Session, ray_session
from wsnet.sweep.share import Share, share_of

__all__ = ["Outcome", "run"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a sweep ended.

    Attributes:
        tally: where the trials are.
        interrupted: whether somebody stopped it.
    """

    tally: Tally
    interrupted: bool


def run(
    plan: Plan,
    *,
    sweep: Folder,
    data_root: Path,
    address: str | None,
    console: Console,
    changed: Callable[[str], None],
    trouble: Callable[[], str | None] = lambda: None,
) -> Outcome:
    """Train every trial of a plan that is not done yet.

    Args:
        plan: the plan; its manifest is in the folder already.
        sweep: the sweep's folder.
        data_root: folder of the image sets.
        address: Ray cluster to join, or None.
        console: where progress is drawn.
        changed: told of each trial that has something new.
        trouble: asked for a line to show under the progress.

    Raises:
        ConfigError: not even one trial fits the cluster.
    """
    tally, missing = _looked_up(plan, sweep)
    if not missing:
        return Outcome(tally=tally, interrupted=False)
    with _interruptible(), ray_session(address=address) as session:
        share = share_of(
            plan.sweep.config.resources,
            cpus=session.cpus,
            gpus=session.gpus,
            device=missing[0].config.execution.device,
            path=plan.path,
        )
        tally.concurrent = share.concurrent
        _announce(session, share, plan, console)
        jobs = _jobs(plan, missing, share, sweep, data_root)
        with Board(tally, console, trouble) as board:
            try:
                _tuner(plan, missing, jobs, share, _follower(sweep, tally, board, changed)).fit()
                interrupted = False
            except KeyboardInterrupt:
                interrupted = True
    return Outcome(tally=tally, interrupted=interrupted)


def _looked_up(plan: Plan, sweep: Folder) -> tuple[Tally, list[PlannedTrial]]:
    """What is done already, and what is not; failed trials get another chance."""
    tally = Tally([t.entry for t in plan.trials], {t.entry.trial_id: t.config.train.epochs for t in plan.trials})
    started = (sweep / "trials").existing([f"{t.entry.trial_id}/status.json" for t in plan.trials])
    missing = []
    for trial, has_started in zip(plan.trials, started, strict=True):
        directory = trial_directory(sweep, trial.entry.trial_id)
        status = directory.status() if has_started else None
        if status is not None and status.is_final:
            tally.ended(trial.entry.trial_id, status)
        else:
            missing.append(trial)
        if status is not None and (records := directory.records()):
            tally.measured(trial.entry.trial_id, records[-1])
    if missing and isinstance(plan.sweep.config.scheduler, AshaConfig):
        # The scheduler starts anew and has to see again what it decided on: what is done tells its records once more.
        missing = list(plan.trials)
    return tally, missing


def _jobs(plan: Plan, missing: list[PlannedTrial], share: Share, sweep: Folder, data_root: Path) -> Jobs:
    resources = plan.sweep.config.resources
    return Jobs(
        sweep=str(sweep.local or sweep.location),
        data_root=str(data_root.absolute()),
        configs={trial.entry.trial_id: trial.config.model_dump_json() for trial in missing},
        workers=resources.workers,
        cpus=share.cpus,
        gpus=share.gpus,
        max_failures=resources.max_failures,
        replay=isinstance(plan.sweep.config.scheduler, AshaConfig),
    )


def _tuner(plan: Plan, missing: list[PlannedTrial], jobs: Jobs, share: Share, follower: Any) -> Any:
    from ray import tune

    from wsnet.sweep.workers import train_on_workers

    if jobs.workers == 1:
        function, need = train_job, {"cpu": share.cpus, **({"gpu": share.gpus} if share.gpus else {})}
    else:
        # One byte of memory is a resource that every cluster has and that is never short: the workers hold the CPUs.
        function, need = train_on_workers, {"memory": 1}
    trials = sorted(missing, key=lambda trial: trial.entry.seed)  # Every setting once, then every setting again.
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(function, jobs=jobs), need),
        param_space={"trial_id": tune.grid_search([trial.entry.trial_id for trial in trials])},
        tune_config=tune.TuneConfig(
            scheduler=_scheduler(plan), reuse_actors=True, max_concurrent_trials=share.concurrent
        ),
        run_config=tune.RunConfig(
            name=plan.sweep.config.name,
            storage_path=tempfile.mkdtemp(prefix="wsnet-tune-"),  # Tune's own state; results lie in the sweep's folder.
            failure_config=tune.FailureConfig(max_failures=jobs.max_failures),
            callbacks=[follower],
            verbose=0,
        ),
    )


def _scheduler(plan: Plan) -> Any:
    config = plan.sweep.config.scheduler
    if not isinstance(config, AshaConfig):
        return None
    from ray.tune.schedulers import ASHAScheduler

    return ASHAScheduler(
        time_attr="epoch",
        metric=config.metric,
        mode="min",
        max_t=max(trial.config.train.epochs for trial in plan.trials),
        grace_period=config.grace,
        reduction_factor=config.eta,
    )


def _follower(sweep: Folder, tally: Tally, board: Board, changed: Callable[[str], None]) -> Any:
    from wsnet.sweep.follow import Follower

    return Follower(sweep, tally, board, changed)


def _announce(session: Session, share: Share, plan: Plan, console: Console) -> None:
    workers = plan.sweep.config.resources.workers
    each = f"{share.cpus:g} CPU" + (f", {share.gpus:g} GPU" if share.gpus else "")
    console.print(
        f"Ray: {session.cpus:g} CPUs, {session.gpus:g} GPUs; {share.concurrent} trials at a time, "
        f"{workers} worker{'s' if workers > 1 else ''} of {each} each",
        highlight=False,
    )
    if session.dashboard:
        console.print(f"Ray dashboard: {session.dashboard}/#/jobs  (its token: ray get-auth-token)", highlight=False)


@contextmanager
def _interruptible() -> Iterator[None]:
    """A termination ends a sweep as Ctrl-C does."""
    try:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:  # Not in the main thread: nobody sends signals here.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
