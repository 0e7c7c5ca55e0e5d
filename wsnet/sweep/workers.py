"""A trial on several workers: the same `fit` on each worker of a TorchTrainer, in step by DistributedDataParallel."""

import contextlib
import time
import traceback
import uuid
from typing import Any

from wsnet.storage import Folder, RungJournal, Status, TrialDirectory
from wsnet.sweep.job import Jobs, train_and_log

__all__ = ["train_on_workers"]

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
