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
from wsnet.storage import Folder, RungJournal, Status, TrialDirectory, trial_directory
from wsnet.storage.trial_directory import LAYERS, Record

if TYPE_CHECKING:
    from wsnet.training import Trial

__all__ = ["Jobs", "prepared", "train_job", "train_on_workers"]

_TEST = ("test/", "test_ema/")


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """What every actor of a sweep needs to know. Travels once through Ray's object store.

    Attributes:
        sweep: location of the sweep's folder.
        data_root: folder of the image sets.
        configs: configuration of each trial as JSON, by trial_id. (Tune's grid goes over the ids alone: a grid over
            configurations copies all of them for each of them.)
        workers: processes of one trial.
        cpus: CPUs of one worker.
        gpus: GPUs of one worker.
        max_failures: times that a crashed trial is started again.
        scratch: folder for what Ray writes beside the results; removed when the sweep ends.
        rungs: epochs at which the scheduler decides.
    """

    sweep: str
    data_root: str
    configs: dict[str, str]
    workers: int
    cpus: float
    gpus: float
    max_failures: int
    scratch: str
    rungs: tuple[int, ...] = ()

    def config(self, trial_id: str) -> TrialConfig:
        """Configuration of a trial; on a device that it was given."""
        config = TrialConfig.model_validate_json(self.configs[trial_id])
        if self.gpus or config.execution.device != "auto":
            return config
        # Ray leaves the GPUs visible to an actor that asked for none.
        return config.model_copy(update={"execution": config.execution.model_copy(update={"device": "cpu"})})

    def folder(self, trial_id: str) -> Folder:
        """The trial's folder."""
        return trial_directory(Folder(self.sweep), trial_id).folder


def train_job(config: dict[str, Any], *, jobs: Jobs) -> None:
    """The Tune function of a trial with one worker."""
    from ray import tune

    with contextlib.suppress(ValueError):
        # A ValueError is a setting that can not be trained: its status says so, and to start it again would repeat it.
        train_and_log(config["trial_id"], jobs, tune.report)


def train_and_log(trial_id: str, jobs: Jobs, tell: Callable[[dict[str, Any]], None], *, leader: bool = True) -> None:
    """Train a trial in its directory, with what it prints in `log.txt` there, and a crash in `error.txt`.

    Args:
        trial_id: which trial.
        jobs: the sweep's jobs.
        tell: told of each epoch as Tune is: `epoch` and the metrics but the test set's and the layers', which are for
            the report.
        leader: whether this worker writes.
    """
    from wsnet.training import fit

    folder = jobs.folder(trial_id)
    directory = trial_directory(Folder(jobs.sweep), trial_id)
    with _log(folder if leader else None):
        try:
            if leader:
                folder.delete("error.txt")  # Of an earlier start.
            trial = prepared(trial_id, jobs)

            def report(record: Record) -> None:
                tell(_told(trial_id, record))

            # The scheduler may not have heard of the last epoch: its verdict on it comes before the next one.
            fit(trial, report=report, checkpoint_dir=folder, resumed=report if jobs.rungs else None)
        except Exception as error:
            if leader:
                folder.write("error.txt", traceback.format_exc().encode())
                message = f"{type(error).__name__}: {error}".splitlines()[0]
                directory.write_status(Status(status="failed", epoch=len(directory.records()), message=message))
            raise


def prepared(trial_id: str, jobs: Jobs) -> "Trial":
    """A trial with its images, which must be those that it was planned with.

    Whoever planned it has looked at every file of a streamed set. Here the index in the cache will do, unless it is of
    other files: on another machine it may be from before a file was written over.
    """
    from wsnet.training import Trial

    config, cpus = jobs.config(trial_id), max(1, int(jobs.cpus))
    for check in (False, True):
        trial = Trial.prepare(config, root=Path(jobs.data_root), cpus=cpus, workers=jobs.workers, check=check)
        if trial.trial_id == trial_id:
            break
    assert trial.trial_id == trial_id, "the images have changed since the sweep was planned"
    return trial


def _told(trial_id: str, record: Record) -> dict[str, Any]:
    told: dict[str, Any] = {key: value for key, value in record.items() if not key.startswith((*_TEST, LAYERS))}
    return {**told, "trial": trial_id, "epoch": int(record["epoch"])}


@contextlib.contextmanager
def _log(folder: Folder | None) -> Iterator[None]:
    """Send what Python prints to the trial's `log.txt`."""
    if folder is None:
        yield
        return
    local = folder.local
    if local is None:
        text = io.StringIO()
        try:
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                yield
        finally:
            folder.append("log.txt", text.getvalue().encode())
        return
    local.mkdir(parents=True, exist_ok=True)
    with (
        open(local / "log.txt", "a", buffering=1) as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        yield


_POLL_SECONDS = 0.1
"""Between two looks at the journal."""


def train_on_workers(config: dict[str, Any], *, jobs: Jobs) -> None:
    """The Tune function of a trial with several workers. It only starts them: it must not hold a CPU that they need."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    trial_id = config["trial_id"]
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"trial_id": trial_id, "jobs": jobs},
        scaling_config=ScalingConfig(
            num_workers=jobs.workers,
            use_gpu=jobs.gpus > 0,
            resources_per_worker={"CPU": jobs.cpus, **({"GPU": jobs.gpus} if jobs.gpus else {})},
        ),
        run_config=RunConfig(
            name=f"{trial_id}-{uuid.uuid4().hex[:8]}",  # Train's own state is never gone on from.
            storage_path=jobs.scratch,  # Checkpoints lie in the trial's own directory.
            failure_config=FailureConfig(max_failures=jobs.max_failures),
            callbacks=[TuneReportCallback()],
        ),
    )
    directory = TrialDirectory(jobs.folder(trial_id))
    try:
        trainer.fit()
    except Exception as error:
        if _is_stopped(jobs, trial_id):
            return  # Tune takes the workers of a trial that it stops away, before or after they have come to their end.
        # Train has started the workers again as often as it may. To raise here would have Tune start it all over.
        status = directory.status()
        if status is None or status.status != "failed":
            directory.folder.write("error.txt", traceback.format_exc().encode())
            directory.write_status(Status(status="failed", epoch=len(directory.records()), message=_message(error)))


def _is_stopped(jobs: Jobs, trial_id: str) -> bool:
    journal = RungJournal(Folder(jobs.sweep))
    journal.refresh()
    rung = journal.stops().get(trial_id)
    return rung in jobs.rungs and rung <= len(TrialDirectory(jobs.folder(trial_id)).records())


def _message(error: Exception) -> str:
    """One line for a person. Train ends the leader as soon as another worker has failed, often before it could tell."""
    failures = getattr(error, "worker_failures", {})
    if not failures:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    last = str(failures[min(failures)]).strip().splitlines()[-1]  # Train gives the traceback of the worker as text.
    kind, colon, text = last.partition(": ")
    return f"{kind.rpartition('.')[2]}{colon}{text}"


def _worker(config: dict[str, Any]) -> None:
    import ray.train

    context = ray.train.get_context()
    jobs: Jobs = config["jobs"]
    if jobs.gpus:
        import torch

        torch.cuda.set_device(ray.train.torch.get_device())
    trial_id = config["trial_id"]

    def tell(told: dict[str, Any]) -> None:
        ray.train.report(told)
        if told["epoch"] in jobs.rungs:
            _await_verdict(jobs, trial_id, told["epoch"])

    with contextlib.suppress(_Stopped):
        train_and_log(trial_id, jobs, tell, leader=context.get_world_rank() == 0)


class _Stopped(BaseException):
    """The scheduler stopped the trial. No `Exception`: nothing has failed."""


def _await_verdict(jobs: Jobs, trial_id: str, rung: int) -> None:
    """Wait until a trial may go on past a rung: Train, unlike Tune, lets workers go on while the scheduler decides.

    Raises:
        _Stopped: it may not, on any of its workers.
    """
    status = TrialDirectory(jobs.folder(trial_id)).status()
    if status is not None and status.status in ("finished", "diverged"):
        return
    journal = RungJournal(Folder(jobs.sweep))
    while (verdict := journal.verdict(trial_id, rung)) is None:
        time.sleep(_POLL_SECONDS)
        journal.refresh()
    if verdict.verdict == "stop":
        raise _Stopped
