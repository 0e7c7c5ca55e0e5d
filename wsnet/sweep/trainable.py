"""A trial as Ray runs it: inside a Tune actor, or on several workers of a TorchTrainer."""

import contextlib
import io
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsnet.config import TrialConfig
from wsnet.storage import (
    Folder,
    LeaseLost,
    RungJournal,
    Status,
    StorageLost,
    TrialDirectory,
    patient,
    trial_directory,
)
from wsnet.storage.trial_directory import LAYERS, Record
from wsnet.sweep.out_of_memory import out_of_memory

if TYPE_CHECKING:
    from wsnet.training import Trial

__all__ = ["SweepContext", "prepare_trial", "train_and_log", "train_job", "train_on_workers"]

_FOR_THE_REPORT = ("test/", "test_ema/", LAYERS)
"""Prefixes of metrics withheld from Tune: nothing may be selected on the test set, and layers have too many values."""

_POLL_SECONDS = 0.1
"""Time between two reads of the journal of verdicts."""


@dataclass(frozen=True, kw_only=True)
class SweepContext:
    """What every actor of a sweep needs to know; sent once, through Ray's object store.

    Attributes:
        folder: location of the sweep's folder.
        data_root: folder of the image sets.
        configs: configuration of each trial as JSON, by trial_id. (Tune's grid search is over the ids only: a grid over
            configurations would copy all of them for each trial.)
        workers: number of processes of one trial.
        cpus: CPUs of one worker.
        gpus: GPUs of one worker.
        max_failures: how many times a crashed trial is restarted.
        scratch: folder for Ray's own files; removed when the sweep ends.
        rungs: epochs at which the scheduler decides.
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
    rungs: tuple[int, ...] = ()
    storage_patience: float = 0.0

    def config(self, trial_id: str) -> TrialConfig:
        """A trial's configuration, where device `auto` becomes `cpu` if the trial was given no GPU."""
        config = TrialConfig.model_validate_json(self.configs[trial_id])
        if self.gpus or config.execution.device != "auto":
            return config
        # Ray leaves the GPUs visible to an actor that asked for none.
        return config.model_copy(update={"execution": config.execution.model_copy(update={"device": "cpu"})})

    def directory(self, trial_id: str) -> TrialDirectory:
        """The trial's directory."""
        return trial_directory(Folder(self.folder), trial_id)

    def journal(self) -> RungJournal:
        """The scheduler's verdicts so far."""
        journal = RungJournal(Folder(self.folder))
        journal.refresh()
        return journal


# Ray's dashboard shows the names of the two functions that follow.
def train_job(config: dict[str, Any], *, context: SweepContext) -> None:
    """The Tune function of a trial with one worker."""
    from ray import tune

    try:
        train_and_log(config["trial_id"], context, tune.report)
    except ValueError:
        # The setting cannot be trained, and a retry would fail again. Raising would make Tune retry it.
        status = context.directory(config["trial_id"]).status()
        if status is None or status.status != "failed":
            raise  # The failure could not be written down either.


def train_on_workers(config: dict[str, Any], *, context: SweepContext) -> None:
    """The Tune function of a trial with several workers. It only starts them, and must not hold a CPU they need."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    trial_id = config["trial_id"]
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"trial_id": trial_id, "context": context},
        scaling_config=ScalingConfig(
            num_workers=context.workers,
            use_gpu=context.gpus > 0,
            resources_per_worker={"CPU": context.cpus, **({"GPU": context.gpus} if context.gpus else {})},
        ),
        run_config=RunConfig(
            name=f"{trial_id}-{uuid.uuid4().hex[:8]}",  # New every time: Train must not resume from its own state.
            storage_path=context.scratch,  # Checkpoints are in the trial's own directory.
            failure_config=FailureConfig(max_failures=context.max_failures),
            callbacks=[TuneReportCallback()],
        ),
    )
    try:
        trainer.fit()
    except Exception as error:
        if _is_stopped(context, trial_id):
            return  # Tune takes away the workers of a trial that it stops, whether or not they have ended by then.
        # Train has used up its restarts. Raising here would make Tune start over.
        directory = context.directory(trial_id)
        status = directory.status()
        if status is None or status.status != "failed":
            _write_failure(directory, traceback.format_exc(), _message(error))


def _worker(config: dict[str, Any]) -> None:
    """What each worker of a TorchTrainer runs."""
    import ray.train

    context: SweepContext = config["context"]
    if context.gpus:
        import torch

        torch.cuda.set_device(ray.train.torch.get_device())
    trial_id = config["trial_id"]

    def tell(metrics: dict[str, Any]) -> None:
        ray.train.report(metrics)
        if metrics["epoch"] in context.rungs:
            _await_verdict(context, trial_id, metrics["epoch"])

    with contextlib.suppress(_Stopped):
        train_and_log(trial_id, context, tell, leader=ray.train.get_context().get_world_rank() == 0)


def train_and_log(
    trial_id: str, context: SweepContext, tell: Callable[[dict[str, Any]], None], *, leader: bool = True
) -> None:
    """Train a trial in its directory, with its output in `log.txt` there and the traceback of a crash in `error.txt`.

    Args:
        trial_id: which trial.
        context: the sweep that it belongs to.
        tell: called with each epoch's metrics for Tune.
        leader: whether this worker writes files.
    """
    from wsnet.training import fit

    directory = context.directory(trial_id)
    with patient(context.storage_patience), _log(directory.folder if leader else None):
        try:
            if leader:
                directory.folder.delete("error.txt")  # From an earlier start.
            trial = prepare_trial(trial_id, context)

            def report(record: Record) -> None:
                tell(_for_tune(trial_id, record))

            # The scheduler may have missed the last epoch before a restart: it must decide on it before the next one.
            fit(trial, report=report, checkpoint_dir=directory.folder, on_resume=report if context.rungs else None)
        except (LeaseLost, StorageLost):
            raise  # The directory is another process's now, and a retry waits for its end; or nothing can be written.
        except Exception as error:
            if leader:
                _write_failure(directory, traceback.format_exc(), f"{type(error).__name__}: {error}".splitlines()[0])
            raise


def prepare_trial(trial_id: str, context: SweepContext) -> "Trial":
    """Prepare a trial with its images, which must be those that it was planned with.

    Planning has checked every file of a streamed set. Here the cached index is enough, unless it yields another
    trial_id: on another machine it may predate a file that was overwritten.

    Raises:
        TrialError: they are others.
    """
    from wsnet.training import Trial
    from wsnet.training.execution import TrialError

    config, cpus = context.config(trial_id), max(1, int(context.cpus))
    for check in (False, True):
        trial = Trial.prepare(config, root=Path(context.data_root), cpus=cpus, workers=context.workers, check=check)
        if trial.trial_id == trial_id:
            return trial
    raise TrialError(
        f"the images have changed since the sweep was planned (with them, this trial is {trial.trial_id}); "
        "run the same command again, which plans the sweep with the images as they are"
    )


def _for_tune(trial_id: str, record: Record) -> dict[str, Any]:
    """The part of an epoch's record that is reported to Tune."""
    told: dict[str, Any] = {key: value for key, value in record.items() if not key.startswith(_FOR_THE_REPORT)}
    return {**told, "trial": trial_id, "epoch": int(record["epoch"])}


@contextlib.contextmanager
def _log(folder: Folder | None) -> Iterator[None]:
    """Redirect what Python prints to `log.txt` in a trial's folder, if given."""
    if folder is None:
        yield
        return
    if folder.local is not None:
        folder.local.mkdir(parents=True, exist_ok=True)
    file = io.StringIO() if folder.local is None else open(folder.local / "log.txt", "a", buffering=1)  # noqa: SIM115
    try:
        with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            yield
    finally:
        if isinstance(file, io.StringIO):  # Object stores cannot append to a file.
            folder.append("log.txt", file.getvalue().encode())
        file.close()


def _write_failure(directory: TrialDirectory, error: str, message: str) -> None:
    directory.folder.write("error.txt", error.encode(errors="backslashreplace"))
    directory.write_status(Status(status="failed", epoch=len(directory.records()), message=message))


def _message(error: Exception) -> str:
    """The error in one line. Train ends the leader as soon as another worker fails, often before it wrote a status."""
    failures = getattr(error, "worker_failures", {})
    if not failures:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    if (memory := next(filter(None, (out_of_memory(str(failure)) for failure in failures.values())), None)) is not None:
        return memory
    last = str(failures[min(failures)]).strip().splitlines()[-1]  # Train gives the traceback of the worker as text.
    kind, colon, text = last.partition(": ")
    return f"{kind.rpartition('.')[2]}{colon}{text}"


class _Stopped(BaseException):
    """The scheduler stopped the trial. Not an `Exception`, since nothing has failed."""


def _await_verdict(context: SweepContext, trial_id: str, rung: int) -> None:
    """Wait for the verdict at a rung: Train, unlike Tune, lets workers continue while the scheduler decides.

    Raises:
        _Stopped: the trial must stop; raised on each of its workers.
    """
    status = context.directory(trial_id).status()
    if status is not None and status.status in ("finished", "diverged"):
        return
    journal = context.journal()
    while (verdict := journal.verdict(trial_id, rung)) is None:
        time.sleep(_POLL_SECONDS)
        journal.refresh()
    if verdict.verdict == "stop":
        raise _Stopped


def _is_stopped(context: SweepContext, trial_id: str) -> bool:
    rung = context.journal().stops().get(trial_id)
    return rung in context.rungs and rung <= len(context.directory(trial_id).records())
