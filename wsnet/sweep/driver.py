"""A sweep, run: what is missing is trained, everything else is left as it is."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from wsnet.config.sweep import AshaConfig
from wsnet.storage import Folder, trial_directory
from wsnet.storage.trial_directory import Record
from wsnet.sweep.board import Board
from wsnet.sweep.interrupt import interruptible
from wsnet.sweep.job import Jobs, train_job
from wsnet.sweep.plan import Plan, PlannedTrial
from wsnet.sweep.session import Session, ray_session
from wsnet.sweep.share import Share, share_of
from wsnet.sweep.tally import Tally

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


@dataclass(frozen=True, kw_only=True)
class _Missing:
    """What is left to do: `trials` in the order of their start, and the records of what was done, by trial_id."""

    trials: list[PlannedTrial]
    done: dict[str, list[Record]]
    begun: dict[str, list[Record]]


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
    tally, missing = _looked_up(plan, sweep)
    if not missing.trials:
        console.print("Every trial is done already.", highlight=False)
        return Outcome(tally=tally, interrupted=False)
    with (
        tempfile.TemporaryDirectory(prefix="wsnet-", ignore_cleanup_errors=True) as scratch,
        ray_session(address=address) as session,
    ):
        devices = {trial.config.execution.device for trial in missing.trials}
        share = share_of(plan.sweep.config.resources, session.nodes, devices=devices, path=plan.path)
        tally.concurrent = share.concurrent
        _announce(session, share, plan, console)
        jobs = _jobs(plan, missing, share, sweep, data_root, scratch)
        interrupted = False
        with interruptible(), Board(tally, console, trouble) as board:
            try:
                _tuner(plan, missing, jobs, share, _follower(sweep, tally, board, changed)).fit()
            except KeyboardInterrupt:
                interrupted = True
    return Outcome(tally=tally, interrupted=interrupted)


def _looked_up(plan: Plan, sweep: Folder) -> tuple[Tally, _Missing]:
    """What is done already, and what is not; failed trials get another chance."""
    tally = Tally([t.entry for t in plan.trials], {t.entry.trial_id: t.config.train.epochs for t in plan.trials})
    started = (sweep / "trials").existing([f"{t.entry.trial_id}/status.json" for t in plan.trials])
    missing = _Missing(trials=[], done={}, begun={})
    for trial, has_started in zip(plan.trials, started, strict=True):
        trial_id = trial.entry.trial_id
        directory = trial_directory(sweep, trial_id)
        status = directory.status() if has_started else None
        records = directory.records() if status is not None else []
        if records:
            tally.measured(trial_id, records[-1])
        if status is not None and status.is_final:
            tally.ended(trial_id, status)
            missing.done[trial_id] = records
            continue
        missing.trials.append(trial)
        if records:
            missing.begun[trial_id] = records
    # What is begun goes on first; then every setting once, then every setting again.
    missing.trials.sort(key=lambda trial: (trial.entry.trial_id not in missing.begun, trial.entry.seed))
    return tally, missing


def _jobs(plan: Plan, missing: _Missing, share: Share, sweep: Folder, data_root: Path, scratch: str) -> Jobs:
    resources = plan.sweep.config.resources
    return Jobs(
        sweep=str(sweep.local or sweep.location),
        data_root=str(data_root.absolute()),
        configs={trial.entry.trial_id: trial.config.model_dump_json() for trial in missing.trials},
        workers=resources.workers,
        cpus=share.cpus,
        gpus=share.gpus,
        max_failures=resources.max_failures,
        scratch=scratch,
    )


def _tuner(plan: Plan, missing: _Missing, jobs: Jobs, share: Share, follower: Any) -> Any:
    from ray import tune

    from wsnet.sweep.workers import train_on_workers

    if jobs.workers == 1:
        function, need = train_job, {"cpu": share.cpus, **({"gpu": share.gpus} if share.gpus else {})}
    else:
        # One byte of memory is a resource that every cluster has and that is never short: the workers hold the CPUs.
        function, need = train_on_workers, {"memory": 1}
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(function, jobs=jobs), need),
        param_space={"trial_id": tune.grid_search([trial.entry.trial_id for trial in missing.trials])},
        tune_config=tune.TuneConfig(
            scheduler=_scheduler(plan, missing), reuse_actors=True, max_concurrent_trials=share.concurrent
        ),
        run_config=tune.RunConfig(
            name=plan.sweep.config.name,
            storage_path=jobs.scratch,  # Tune's own state; results lie in the sweep's folder.
            failure_config=tune.FailureConfig(max_failures=jobs.max_failures),
            callbacks=[follower],
            verbose=0,
        ),
    )


def _scheduler(plan: Plan, missing: _Missing) -> Any:
    config = plan.sweep.config.scheduler
    if not isinstance(config, AshaConfig):
        return None
    from wsnet.sweep.scheduler import ResumedAsha

    longest = max(trial.config.train.epochs for trial in plan.trials)
    return ResumedAsha(config, max_t=longest, done=missing.done, begun=missing.begun)


def _follower(sweep: Folder, tally: Tally, board: Board, changed: Callable[[str], None]) -> Any:
    from wsnet.sweep.follow import Follower

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
