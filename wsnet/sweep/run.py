"""A sweep, run: what is missing is trained, everything else is left as it is."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from wsnet.config.sweep import AshaConfig
from wsnet.storage import Folder, RungJournal, Status, trial_directory
from wsnet.sweep.plan import Plan
from wsnet.sweep.progress import STOPPED, Board, Tally
from wsnet.sweep.ray_session import Session, interruptible, ray_session
from wsnet.sweep.resources import Share, share_of
from wsnet.sweep.resume import Left, left_of
from wsnet.sweep.scheduler import rungs_of
from wsnet.sweep.trainable import Jobs, train_job

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
        ConnectionError: there is no cluster at the address.
    """
    left = left_of(plan, sweep)
    tally, missing = _found(left, plan)
    scheduler = _scheduler(plan, left, sweep) if missing else None
    missing = _without_stopped(missing, scheduler, sweep, tally, changed)
    if not missing:
        console.print("Every trial is done already.", highlight=False)
        return Outcome(tally=tally, interrupted=False)
    with (
        tempfile.TemporaryDirectory(prefix="wsnet-", ignore_cleanup_errors=True) as scratch,
        ray_session(address=address) as session,
    ):
        devices = {left.trial.config.execution.device for left in missing}
        share = share_of(plan.sweep.config.resources, session.nodes, devices=devices, path=plan.path)
        tally.concurrent = share.concurrent
        _announce(session, share, plan, console)
        jobs = _jobs(plan, missing, share, sweep, data_root, scratch)
        interrupted = False
        with interruptible(), Board(tally, console, trouble) as board:
            try:
                _tuner(plan, jobs, share, scheduler, _follower(sweep, tally, board, changed)).fit()
            except KeyboardInterrupt:
                interrupted = True
    return Outcome(tally=tally, interrupted=interrupted)


def _found(left: list[Left], plan: Plan) -> tuple[Tally, list[Left]]:
    """What is done already, and what is missing, in the order of its start; failed trials get another chance."""
    tally = Tally([t.entry for t in plan.trials], {t.entry.trial_id: t.config.train.epochs for t in plan.trials})
    for trial in left:
        if trial.records:
            tally.measured(trial.trial_id, trial.records[-1])
        if trial.status is not None and trial.is_done:
            tally.ended(trial.trial_id, trial.status)
    # What is begun goes on first; then every setting once, then every setting again.
    missing = [trial for trial in left if not trial.is_done]
    return tally, sorted(missing, key=lambda trial: (not trial.records, trial.trial.entry.seed))


def _scheduler(plan: Plan, left: list[Left], sweep: Folder) -> Any:
    config = plan.sweep.config.scheduler
    if not isinstance(config, AshaConfig):
        return None
    from wsnet.sweep.scheduler import JournaledAsha

    return JournaledAsha(config, max_t=_longest(plan), journal=RungJournal(sweep), left=left)


def _longest(plan: Plan) -> int:
    return max(trial.config.train.epochs for trial in plan.trials)


def _without_stopped(
    missing: list[Left], scheduler: Any, sweep: Folder, tally: Tally, changed: Callable[[str], None]
) -> list[Left]:
    """Mark the trials that were stopped at a rung where it could not be said any more; returns the others."""
    if scheduler is None:
        return missing
    stopped = scheduler.stopped(missing)
    for trial_id, rung in stopped.items():
        status = Status(status="stopped", epoch=rung, message=STOPPED)
        trial_directory(sweep, trial_id).write_status(status)
        tally.ended(trial_id, status)
        changed(trial_id)
    return [trial for trial in missing if trial.trial_id not in stopped]


def _jobs(plan: Plan, missing: list[Left], share: Share, sweep: Folder, data_root: Path, scratch: str) -> Jobs:
    resources, scheduler = plan.sweep.config.resources, plan.sweep.config.scheduler
    return Jobs(
        sweep=str(sweep.local or sweep.location),
        data_root=str(data_root.absolute()),
        configs={left.trial_id: left.trial.config.model_dump_json() for left in missing},
        workers=resources.workers,
        cpus=share.cpus,
        gpus=share.gpus,
        max_failures=resources.max_failures,
        scratch=scratch,
        rungs=rungs_of(scheduler, _longest(plan)) if isinstance(scheduler, AshaConfig) else (),
    )


def _tuner(plan: Plan, jobs: Jobs, share: Share, scheduler: Any, follower: Any) -> Any:
    from ray import tune

    from wsnet.sweep.trainable import train_on_workers

    if jobs.workers == 1:
        function, need = train_job, {"cpu": share.cpus, **({"gpu": share.gpus} if share.gpus else {})}
    else:
        # One byte of memory is a resource that every cluster has and that is never short: the workers hold the CPUs.
        function, need = train_on_workers, {"memory": 1}
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(function, jobs=jobs), need),
        param_space={"trial_id": tune.grid_search(list(jobs.configs))},
        tune_config=tune.TuneConfig(
            scheduler=scheduler,
            reuse_actors=jobs.workers == 1,  # An actor that is kept would keep the workers of a stopped trial too.
            max_concurrent_trials=share.concurrent,
        ),
        run_config=tune.RunConfig(
            name=plan.sweep.config.name,
            storage_path=jobs.scratch,  # Tune's own state; results lie in the sweep's folder.
            failure_config=tune.FailureConfig(max_failures=jobs.max_failures),
            callbacks=[follower],
            verbose=0,
        ),
    )


def _follower(sweep: Folder, tally: Tally, board: Board, changed: Callable[[str], None]) -> Any:
    from wsnet.sweep.callback import Follower

    return Follower(sweep, tally, board, changed)


def _announce(session: Session, share: Share, plan: Plan, console: Console) -> None:
    workers = plan.sweep.config.resources.workers
    each = f"{share.cpus:g} CPU" + (f", {share.gpus:g} GPU" if share.gpus else "")
    cpus, gpus = sum(node.cpus for node in session.nodes), sum(node.gpus for node in session.nodes)
    console.print(
        f"Ray: {cpus:g} CPUs, {gpus:g} GPUs; {share.concurrent} trial{'s' if share.concurrent > 1 else ''} at a time, "
        f"{workers} worker{'s' if workers > 1 else ''} of {each} each",
        highlight=False,
    )
    if session.dashboard:
        console.print(f"Ray dashboard: {session.dashboard}/#/jobs  (its token: ray get-auth-token)", highlight=False)
