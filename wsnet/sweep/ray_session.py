"""A Ray session that starts quietly and stops cleanly: what Ray prints goes to its own log files."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsnet.sweep.joining import TOKEN, join, submitted_environment
from wsnet.sweep.signals import deferred, shielded

__all__ = ["Node", "Session", "ray_session"]


_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ROTATION_MAX_BYTES": "10000000",  # What C code prints goes to Ray's logs, by default up to 3 GB of it.
    "RAY_ROTATION_BACKUP_COUNT": "2",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # Otherwise Train passes on one report every 2 seconds.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # We handle Ctrl-C: resuming does not need Tune's own state.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",  # A paused trial may take longer than 2 s to let go of its process.
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""Environment variables that keep Ray quiet and patient, unless the user has set them."""

_ON_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Makes a Ray that is started here listen on 127.0.0.1 only, as it does by default on Windows and macOS.

Ray reads it at import. It has no other option for this: a node address of 127.0.0.1 is replaced by a reachable one.
"""

_PACKAGE = Path(__file__).parents[1]
"""The folder of wsnet. A cluster that is joined gets it, so that every node runs this very code."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One machine of a cluster.

    Attributes:
        cpus: how many it offers to Ray.
        gpus: how many it offers to Ray.
        name: its host name and address, for messages.
        node_id: Ray's name for it.
        is_here: whether this process runs on it.
    """

    cpus: float
    gpus: float = 0.0
    name: str = "this machine"
    node_id: str = ""
    is_here: bool = True


@dataclass(frozen=True, kw_only=True)
class Session:
    """A running Ray instance.

    Attributes:
        dashboard: address of its dashboard, or None.
        nodes: the machines of its cluster.
    """

    dashboard: str | None
    nodes: list[Node]


@contextmanager
def ray_session(*, address: str | None, cpus: int | None = None) -> Iterator[Session]:
    """Start Ray on this machine, or join a cluster; if Ray is already running in this process, use it as is.

    Args:
        address: a cluster to join; None starts one here.
        cpus: CPUs to offer; by default those that this process may use.

    Raises:
        ConnectionError: there is no cluster at the address.
    """
    for key, value in (_ENVIRONMENT | (_ON_LOOPBACK if address is None else {})).items():
        os.environ.setdefault(key, value)
    import ray

    if ray.is_initialized():
        yield _session(None)
        return
    with deferred() as deliver:  # Interrupted while it starts, Ray may hang, and leave processes.
        if address is None:
            offered = cpus or len(os.sched_getaffinity(0))
            context = ray.init(
                address="local",
                num_cpus=offered,
                log_to_driver=False,
                logging_level="error",
                include_dashboard=True,
                runtime_env=_runtime_env(),
            )
            _protect_token()
        else:
            context = join(address, _runtime_env(py_modules=[str(_PACKAGE)]))
    # Otherwise Tune prints each failed trial's traceback, which is in error.txt; the display shows one line.
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    try:
        deliver()
        yield _session(context)
    finally:
        with shielded():
            ray.shutdown()


def _session(context: Any) -> Session:
    import ray

    here = ray.get_runtime_context().get_node_id()
    nodes = [
        Node(
            cpus=node["Resources"].get("CPU", 0.0),
            gpus=node["Resources"].get("GPU", 0.0),
            name=f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})",
            node_id=node["NodeID"],
            is_here=node["NodeID"] == here,
        )
        for node in ray.nodes()
        if node["Alive"]
    ]
    url = context.dashboard_url if context is not None else None
    return Session(dashboard=f"http://{url}" if url else None, nodes=nodes)


def _runtime_env(**entries: Any) -> dict[str, Any]:
    """How Ray prepares each process, without what a submitted job sets itself: Ray accepts no key twice."""
    entries |= {"worker_process_setup_hook": _preparation()}
    return {key: value for key, value in entries.items() if key not in submitted_environment()}


def _preparation() -> Callable[[], None]:
    """What Ray calls in each process of a session as it starts: it puts the cluster's address into the environment.

    Ray Train asks the cluster whether a trial's controller is alive, to free what the workers of a dead one hold.
    Without the address, it looks for Ray's processes on the machine, and where there are two clusters, finds none or
    the wrong one. A nested function, since Ray then sends its code: a process may not have wsnet yet.
    """

    def tell_the_address() -> None:
        import os

        import ray

        os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address

    return tell_the_address


def _protect_token() -> None:
    """Let nobody else read the token that Ray has made: with it, others on this machine could run code as this user."""
    with suppress(OSError):
        TOKEN.chmod(0o600)
