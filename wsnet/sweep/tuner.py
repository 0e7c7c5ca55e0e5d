"""The Tuner of a sweep: which function Tune calls for a trial, with what resources, and what decides who stops."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsnet.config import ConfigError, Mistake
from wsnet.config.norm import OwnNormConfig
from wsnet.config.own_class import read_source
from wsnet.config.schedulers import AshaConfig, RungConfig
from wsnet.storage import Folder, RungJournal, Status
from wsnet.storage.outage import patience
from wsnet.storage.trial_directory import PAUSED
from wsnet.sweep.cluster.resources import Allocation
from wsnet.sweep.planning.plan import Plan
from wsnet.sweep.progress import SweepProgress
from wsnet.sweep.resume import TrialState
from wsnet.sweep.schedulers.decision_journal import SettingDecisions
from wsnet.sweep.stacks import Stack
from wsnet.sweep.trials.context import SweepContext, sharing
from wsnet.sweep.trials.trainable import train_job, train_on_workers

if TYPE_CHECKING:
    from wsnet.sweep.callback import SweepCallback
    from wsnet.sweep.schedulers.trial_scheduler import JournaledAsha

    Decider = JournaledAsha | SettingDecisions

__all__ = ["decider_of", "make_context", "make_tuner"]


def decider_of(plan: Plan, states: list[TrialState], folder: Folder) -> "Decider | None":
    """What decides which trials stop; None if nothing does.

    Args:
        plan: the plan.
        states: its trials as earlier starts left them.
        folder: the sweep's folder, which holds the journal of decisions.
    """
    config = plan.sweep.config.scheduler
    longest = max(trial.config.train.epochs for trial in plan.trials)
    if isinstance(config, RungConfig) and plan.sweep.config.compares_settings:
        select = plan.sweep.config.report.select
        over = () if select is None else select.over
        return SettingDecisions(config, epochs=longest, journal=RungJournal(folder), states=states, over=over)
    if not isinstance(config, AshaConfig):
        return None
    from wsnet.sweep.schedulers.trial_scheduler import JournaledAsha

    return JournaledAsha(config, max_t=longest, journal=RungJournal(folder), states=states)


def make_tuner(
    plan: Plan,
    context: SweepContext,
    allocation: Allocation,
    decider: "Decider | None",
    callback: "SweepCallback",
    progress: SweepProgress,
) -> Any:
    """The `ray.tune.Tuner` of some trials of a plan.

    Args:
        plan: the plan.
        context: what actors know; its `configs` are the trials to run.
        allocation: what each worker of a trial gets, and how many trials run at the same time.
        decider: as `decider_of` gave it.
        callback: told what happens.
        progress: told which trials wait for a decision.
    """
    from ray import tune

    if context.workers == 1:
        function, need = train_job, {"cpu": allocation.cpus, **({"gpu": allocation.gpus} if allocation.gpus else {})}
    else:
        # The workers need the CPUs, so ask for one byte of memory, which every cluster always has.
        function, need = train_on_workers, {"memory": 1}
    jobs = context.jobs
    ids = iter(jobs)

    def next_id() -> str:
        return next(ids)

    return tune.Tuner(
        tune.with_resources(sharing(function, context), need),
        # In this order. Of a grid over the ids Tune would copy all of them for each trial before the first one starts.
        param_space={"trial_id": tune.sample_from(next_id)},
        tune_config=tune.TuneConfig(
            num_samples=len(jobs),
            scheduler=_scheduler(plan, context, allocation, decider, progress),
            reuse_actors=_may_reuse_actors(plan),
            # A scheduler that pauses trials counts those that run itself; here Tune would count paused ones too.
            max_concurrent_trials=None if context.pauses else allocation.concurrent,
        ),
        run_config=tune.RunConfig(
            name=plan.sweep.config.name,
            storage_path=context.scratch,  # Tune's own state; the results are in the sweep's folder.
            failure_config=tune.FailureConfig(max_failures=context.max_failures),
            callbacks=[callback],
            verbose=0,
        ),
    )


def make_context(
    plan: Plan,
    missing: list[TrialState],
    allocation: Allocation,
    decider: "Decider | None",
    folder: Folder,
    scratch: str,
    data_root: Path,
    is_data_root_of_node: bool,
    stacks: dict[str, Stack],
) -> SweepContext:
    """What the trials of a sweep need to know.

    Args:
        plan: the plan.
        missing: the trials to run.
        allocation: what each gets.
        decider: what decides which trials stop; None if nothing does.
        folder: the sweep's folder.
        scratch: folder for Ray's own files.
        data_root: folder of the image sets.
        is_data_root_of_node: whether $WSNET_DATA of the node that a trial runs on comes before `data_root`.
        stacks: which of them are trained side by side.

    Raises:
        ConfigError: the file of a norm of the user's own has changed since the sweep was planned.
    """
    resources = plan.sweep.config.resources
    return SweepContext(
        folder=str(folder.local or folder.location),
        data_root=str(data_root.absolute()),
        configs={state.trial_id: state.trial.config.model_dump_json() for state in missing},
        settings={state.trial_id: state.trial.entry.setting_id for state in missing},
        workers=resources.workers,
        cpus=allocation.cpus,
        gpus=allocation.gpus,
        max_failures=resources.max_failures,
        stall_timeout=resources.stall_timeout,
        scratch=scratch,
        rungs={} if decider is None else decider.rungs,
        pauses=isinstance(decider, SettingDecisions),
        storage_patience=patience(),
        is_data_root_of_node=is_data_root_of_node,
        sources=_own_sources(missing, plan),
        stacks=stacks,
    )


def _own_sources(states: list[TrialState], plan: Plan) -> tuple[bytes, ...]:
    """Content of the files of the user's own norms."""
    norms = dict.fromkeys(state.trial.config.model.norm for state in states)
    try:
        return tuple(dict.fromkeys(read_source(norm) for norm in norms if isinstance(norm, OwnNormConfig)))
    except ValueError as error:
        raise ConfigError([Mistake(plan.path, "model.norm.name", str(error))]) from None


def _scheduler(
    plan: Plan, context: SweepContext, allocation: Allocation, decider: "Decider | None", progress: SweepProgress
) -> Any:
    """Tune's scheduler."""
    if decider is None:
        from wsnet.sweep.schedulers.trial_scheduler import InOrder

        return InOrder()
    if not isinstance(decider, SettingDecisions):
        return decider
    from wsnet.sweep.schedulers.setting_scheduler import SettingScheduler

    return SettingScheduler(
        decider,
        concurrent=allocation.concurrent,
        directory=context.directory,
        waits=lambda trial_id, epoch: _waits(trial_id, epoch, context, progress),
        start_ahead=_may_reuse_actors(plan),
    )


def _waits(trial_id: str, epoch: int, context: SweepContext, progress: SweepProgress) -> None:
    """Note that a trial is paused, so that `run_sweep.py status` does not take it for interrupted."""
    progress.waits(trial_id)
    with suppress(OSError):  # The disk may be full; the trial itself is saved.
        context.directory(trial_id).write_status(Status(status="running", epoch=epoch, message=PAUSED))


def _may_reuse_actors(plan: Plan) -> bool:
    """Whether one process may train one trial after the other.

    With several workers it would keep a stopped trial's workers; and a norm of the user's own may change torch's global
    settings, which would change the next trial's numbers.
    """
    has_own_norm = any(isinstance(trial.config.model.norm, OwnNormConfig) for trial in plan.trials)
    return plan.sweep.config.resources.workers == 1 and not has_own_norm
