"""Runs a sweep through Ray Tune: trains what is missing and leaves everything else as it is."""

from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from wsnet.called import called
from wsnet.config.errors import counted
from wsnet.storage import Folder, Status, patient, trial_directory
from wsnet.storage.outage import patience
from wsnet.sweep.cluster.auto_resources import resolve_auto
from wsnet.sweep.cluster.compiled_settings import compiled_settings
from wsnet.sweep.cluster.measuring import gpu_memory, is_faster_stacked, seconds_with
from wsnet.sweep.cluster.ray_session import Session, ray_session
from wsnet.sweep.cluster.refused_nodes import refusing_nodes
from wsnet.sweep.cluster.resources import Allocation, whole_node
from wsnet.sweep.cluster.task_names import named_tasks
from wsnet.sweep.cluster.warm_start import is_on
from wsnet.sweep.cluster.watch import cluster_address, watched_cluster
from wsnet.sweep.formatting import TrialEpochs, announced, describe_savings
from wsnet.sweep.planning.extend_epochs import continue_shorter, describe_shorter, shorter_trials
from wsnet.sweep.planning.plan import Plan
from wsnet.sweep.progress import STOPPED, ProgressDisplay, SweepProgress
from wsnet.sweep.resume import TrialState, held_back, progress_so_far, read_states, unfinished
from wsnet.sweep.signals import heeded, interruptible, scratch_folder
from wsnet.sweep.stacks import describe_stacks, stacks_among, stacks_of
from wsnet.sweep.trials.context import SweepContext
from wsnet.sweep.trials.failure import failing_alone
from wsnet.sweep.tune_patches import (
    ending_trials,
    in_any_worker,
    without_history,
    without_lost_resources,
    without_telemetry,
)
from wsnet.sweep.tuner import decider_of, make_context, make_tuner

if TYPE_CHECKING:
    from wsnet.sweep.callback import SweepCallback
    from wsnet.sweep.tuner import Decider

__all__ = ["SweepOutcome", "run"]

_DASHBOARD_SECONDS = 3.0
"""Seconds from the start of the first trial to that of the dashboard, which would take its CPU time."""


@dataclass(frozen=True, kw_only=True)
class SweepOutcome:
    """How a sweep ended.

    Attributes:
        progress: the state of the trials.
        interrupted: the exit status if a signal stopped the sweep (130 for Ctrl-C); otherwise None.
        is_out_of_time: whether the deadline stopped it.
    """

    progress: SweepProgress
    interrupted: int | None
    is_out_of_time: bool = False


def run(
    plan: Plan,
    *,
    folder: Folder,
    data_root: Path,
    is_data_root_of_node: bool = False,
    address: str | None,
    console: Console,
    changed: Callable[[str], None],
    started: Callable[[], None] = lambda: None,
    trouble: Callable[[], str | None] = lambda: None,
    only: frozenset[str] | None = None,
    deadline: float | None = None,
) -> SweepOutcome:
    """Train every trial of a plan that is not done yet, and that the user has not stopped.

    Args:
        plan: the plan; its manifest is already in the folder.
        folder: the sweep's folder.
        data_root: folder of the image sets.
        is_data_root_of_node: whether $WSNET_DATA of the node that a trial runs on comes before `data_root`.
        address: Ray cluster to join; None starts Ray here.
        console: where progress is drawn.
        changed: called with the trial_id whenever a trial's directory has changed.
        started: called whenever a trial has started.
        trouble: returns a line to show under the progress, or None.
        only: trial_ids to which training and progress are limited; a scheduler still compares with the others' records.
        deadline: when to end, by `time.monotonic`; trials that run then resume from their last epoch.

    Raises:
        ConfigError: not even one trial fits the cluster.
        ConnectionError: there is no cluster at the address.
        NodeError: a node of it lacks the images, or does not see the storage.
        StorageLost: the storage did not come back; what is written remains.
    """
    for line in describe_shorter(continue_shorter(shorter_trials(plan, folder), folder), is_planned=False):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    states = _without_held_back(read_states(plan, folder), folder, console)
    chosen = [state for state in states if only is None or state.trial_id in only]
    progress, missing = progress_so_far(chosen), unfinished(chosen)
    progress.shows_accuracy = plan.sweep.config.report.metric.endswith("accuracy")
    decider = decider_of(plan, states, folder) if missing else None
    if decider is not None:
        missing = _without_stopped(missing, decider, folder, progress, changed)
    if not missing:
        console.print("Every trial is done already.", highlight=False)
        return SweepOutcome(progress=progress, interrupted=None)
    starting = "starting Ray" if address is None else f"joining the Ray cluster at {address!r}"
    with scratch_folder() as scratch, ExitStack() as opened:
        with announced(starting, console):
            session = opened.enter_context(ray_session(address=address))
        if address is not None:
            opened.enter_context(watched_cluster(console))
        allocation, why = resolve_auto(
            plan,
            session.nodes,
            folder,
            has_started=any(state.status is not None for state in states),
            seconds=seconds_with,
            memory=lambda config: gpu_memory(config, data_root, is_data_root_of_node=is_data_root_of_node),
        )
        progress.concurrent = allocation.concurrent
        _announce(session, allocation, why, plan, console)
        stacks = stacks_of(
            missing,
            plan,
            folder,
            has_scheduler=decider is not None,
            slots=allocation.concurrent,
            is_faster=partial(is_faster_stacked, gpus=allocation.gpus),
        )
        if stacks:
            console.print(describe_stacks(stacks), highlight=False, soft_wrap=True)
        context = make_context(
            plan, missing, allocation, decider, folder, scratch, data_root, is_data_root_of_node, stacks
        )
        context = replace(context, compiled=compiled_settings(plan, states, folder, allocation))
        context = _checked_nodes(session, allocation, context, missing, console)
        if context.workers > 1:
            _open_dashboard(session, console, waits=True)  # Ray Train asks it about its workers.
        interrupted = None
        with (
            interruptible() as interruption,
            failing_alone(),
            named_tasks({trial.trial_id: trial.name for trial in progress.trials}),
            ProgressDisplay(progress, console, trouble) as display,
            patient(patience(), display.waiting),
            refusing_nodes(allocation) as refused,
        ):
            from wsnet.sweep.callback import SweepCallback

            def trial_started() -> None:
                started()
                _open_dashboard(session, console)

            callback = SweepCallback(
                folder,
                progress,
                display,
                changed,
                started=trial_started,
                has_scheduler=decider is not None,
                refuse=refused.refuse,
                deadline=deadline,
                stacks=context.stacks,
            )
            try:
                reserving = without_lost_resources() if context.pauses else nullcontext()
                placing = in_any_worker() if session.is_own else nullcontext()
                with ending_trials(), without_history(), without_telemetry(), reserving, placing:
                    _fit(plan, context, allocation, session, decider, callback, progress)
            except KeyboardInterrupt:
                heeded()
                interrupted = None if callback.is_out_of_time else interruption.status
    if callback.lost is not None:
        raise callback.lost
    if decider is not None:
        console.print(_savings(progress), highlight=False, soft_wrap=True)
    if progress.utilization is not None:
        what = f"{progress.utilization:.0%} of their time in epochs of training and evaluation"
        console.print(f"{counted(progress.concurrent, 'slot')} spent {what}", highlight=False)
    return SweepOutcome(progress=progress, interrupted=interrupted, is_out_of_time=callback.is_out_of_time)


def _fit(
    plan: Plan,
    context: SweepContext,
    allocation: Allocation,
    session: Session,
    decider: "Decider | None",
    callback: "SweepCallback",
    progress: SweepProgress,
) -> None:
    """Train; then those again, alone, that have run out of memory."""
    make_tuner(plan, context, allocation, decider, callback, progress).fit()
    if again := callback.retry_alone():
        callback.stacks = stacks = stacks_among(context.stacks, again)
        alone = replace(context, configs={key: context.configs[key] for key in again}, max_failures=0, stacks=stacks)
        folder = Folder(context.folder)
        decider = decider_of(plan, read_states(plan, folder), folder)
        make_tuner(plan, alone, whole_node(allocation, session.nodes), decider, callback, progress).fit()


def _checked_nodes(
    session: Session, allocation: Allocation, context: SweepContext, states: list[TrialState], console: Console
) -> SweepContext:
    """Check the nodes on which trials can run, other than this one.

    Returns:
        the context, with what trials check on nodes that join later.
    """
    if session.is_own:
        return context
    from wsnet.sweep.cluster.node_checks import check_nodes, needs_of

    configs = [state.trial.config for state in states]
    others = [node for node in session.nodes if not node.is_here and allocation.fits(node)]
    if others:
        with announced(f"checking the images on {counted(len(others), 'other node')}", console):
            check_nodes(others, context, configs)
    fitting = [node for node in session.nodes if node.is_here or allocation.fits(node)]
    return replace(context, needs=needs_of(context, configs, fitting))


def _savings(progress: SweepProgress) -> str:
    return describe_savings(
        TrialEpochs(
            setting_id=trial.setting_id,
            trained=int(progress.latest.get(trial.trial_id, {}).get("epoch", 0)),
            full=progress.epochs[trial.trial_id],
            is_stopped=progress.statuses.get(trial.trial_id) == "stopped",
        )
        for trial in progress.trials
    )


def _without_stopped(
    missing: list[TrialState],
    decider: "Decider",
    folder: Folder,
    progress: SweepProgress,
    changed: Callable[[str], None],
) -> list[TrialState]:
    """Mark as stopped the trials whose stop is in the journal but not yet in their status; return the others."""
    stopped = decider.stopped(missing)
    for trial_id, epoch in stopped.items():
        status = Status(status="stopped", epoch=epoch, message=STOPPED)
        trial_directory(folder, trial_id).write_status(status)
        progress.ended(trial_id, status)
        changed(trial_id)
    return [state for state in missing if state.trial_id not in stopped]


def _without_held_back(states: list[TrialState], folder: Folder, console: Console) -> list[TrialState]:
    """Mark as stopped the trials that the user has stopped, and say so."""
    marked = held_back(states, folder)
    held = sum(one.status != other.status for one, other in zip(states, marked, strict=True))
    if held:
        verb = "stays" if held == 1 else "stay"
        how = f"to take that back: {called('retry')} {folder.location} SETTING"
        console.print(f"{counted(held, 'trial')} {verb} stopped by the user; {how}", highlight=False, markup=False)
    return marked


def _announce(session: Session, allocation: Allocation, why: str | None, plan: Plan, console: Console) -> None:
    workers = plan.sweep.config.resources.workers
    each = f"{allocation.cpus:g} CPU" + (f", {allocation.gpus:g} GPU" if allocation.gpus else "")
    cpus, gpus = sum(node.cpus for node in session.nodes), sum(node.gpus for node in session.nodes)
    shares = f"{counted(allocation.concurrent, 'trial')} at a time, {counted(workers, 'worker')} of {each} each"
    console.print(f"Ray: {cpus:g} CPUs, {gpus:g} GPUs; {shares}", highlight=False)
    if why is not None:
        console.print(f"{why} (measured)", highlight=False, soft_wrap=True)
    if not session.is_own and (where := cluster_address()) is not None:
        nodes = counted(len(session.nodes), "node")
        console.print(
            f"Ray cluster at {where}, {nodes}: others may use it, too, and it is not ended here", highlight=False
        )
    if session.dashboard:
        _print_dashboard(session.dashboard, console)


def _open_dashboard(session: Session, console: Console, *, waits: bool = False) -> None:
    """Start the dashboard of a Ray that has none yet."""
    if session.late_dashboard is not None and (waits or is_on("WSNET_DASHBOARD")):
        after = 0.0 if waits else _DASHBOARD_SECONDS
        session.late_dashboard.open(lambda url: _print_dashboard(url, console), after=after)
        if waits:
            with console.status("starting Ray's dashboard"):
                session.late_dashboard.wait()


def _print_dashboard(url: str, console: Console) -> None:
    console.print(f"Ray dashboard: {url}/#/jobs  (its token: ray get-auth-token)", highlight=False)
