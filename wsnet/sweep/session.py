"""Ray, started quietly: its own noise goes to its own log files."""

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Session", "ray_session"]

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # Else Train passes on one report every 2 seconds.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours: nothing of Tune's own state is needed to go on.
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


@dataclass(frozen=True, kw_only=True)
class Session:
    """A running Ray.

    Attributes:
        dashboard: address of its dashboard, or None.
        cpus: CPUs of the cluster.
        gpus: GPUs of the cluster.
    """

    dashboard: str | None
    cpus: float
    gpus: float


@contextlib.contextmanager
def ray_session(*, address: str | None, cpus: int | None = None) -> Iterator[Session]:
    """Start Ray on this machine, or join a cluster; a Ray that is running already in this process is used as it is.

    Args:
        address: a cluster to join; None starts one here.
        cpus: CPUs to offer; by default those that this process may use.

    Raises:
        ConnectionError: there is no cluster at the address.
    """
    for key, value in _QUIET.items():
        os.environ.setdefault(key, value)
    import ray

    # Tune prints a traceback of each failed trial; a trial's own error.txt has it, and the progress says it in a line.
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    if ray.is_initialized():
        yield _session()
        return
    if address is None:
        offered = cpus or len(os.sched_getaffinity(0))
        ray.init(address="local", num_cpus=offered, log_to_driver=False, logging_level="error", include_dashboard=True)
    else:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    try:
        yield _session()
    finally:
        ray.shutdown()


def _session() -> Session:
    import ray

    resources = ray.cluster_resources()
    url = ray._private.worker.get_dashboard_url()
    return Session(
        dashboard=f"http://{url}" if url else None, cpus=resources.get("CPU", 0), gpus=resources.get("GPU", 0)
    )
