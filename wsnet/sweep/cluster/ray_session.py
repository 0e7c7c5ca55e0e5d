"""A Ray session that starts quietly and stops cleanly: what Ray prints goes to its own log files."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wsnet.sweep.cluster.dashboard import LateDashboard, without_dashboard
from wsnet.sweep.cluster.joining import TOKEN, join, submitted_environment
from wsnet.sweep.cluster.quick_start import quick_start
from wsnet.sweep.cluster.warm_start import WarmServer, warm_starts
from wsnet.sweep.signals import deferred, scratch_folder, shielded

__all__ = ["Node", "Session", "ray_kept", "ray_session"]


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
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # The state of all trials, which resuming does not need either.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",  # A paused trial may take longer than 2 s to let go of its process.
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""Environment variables that keep Ray quiet and patient, unless the user has set them."""

_HERE = {
    # Listen on 127.0.0.1 only, as by default on Windows and macOS. Ray reads it at import. It has no other option for
    # this: a node address of 127.0.0.1 is replaced by a reachable one.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Metrics for Prometheus. Each name of a task adds to them for good: 40 kB of the driver's memory for each trial.
    "RAY_enable_metrics_collection": "0",
}
"""The same for a Ray that is started here."""

_PACKAGE = Path(__file__).parents[2]
"""The folder of wsnet. A cluster that is joined gets it, so that every node runs this very code."""

_kept: list[ExitStack] = []
"""What stops Ray at the end of the `ray_kept` contexts that are open."""

_warm: list[WarmServer] = []
"""The server of the `ray_kept` context that is open, until Ray starts."""

_late: list[LateDashboard] = []
"""The dashboard of the Ray that this process has started."""

_FIRST_JOB = "01000000"
"""Ray's name of the first job of a new cluster."""

_SESSION_SOCKET = "/ray/session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store"
"""Below the temporary folder: the longest path of Ray's sockets."""

_LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107
"""Bytes of the longest path that a socket may have."""


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
        dashboard: address of its dashboard, if that was running before.
        late_dashboard: its dashboard otherwise, which is still to be started.
        nodes: the machines of its cluster.
    """

    dashboard: str | None
    nodes: list[Node]
    late_dashboard: LateDashboard | None = None

    @property
    def is_own(self) -> bool:
        """Whether this process has started it."""
        return self.late_dashboard is not None


@contextmanager
def ray_session(*, address: str | None, cpus: int | None = None) -> Iterator[Session]:
    """Start Ray on this machine, or join a cluster; if Ray is already running in this process, use it as is.

    Args:
        address: a cluster to join; None starts one here.
        cpus: CPUs to offer; by default those that this process may use.

    Raises:
        ConnectionError: there is no cluster at the address, or the temporary folder's path is too long for Ray.
    """
    for key, value in (_ENVIRONMENT | (_HERE if address is None else {})).items():
        os.environ.setdefault(key, value)
    import ray

    if ray.is_initialized():
        yield _session(None)
        return
    if address is None:
        _check_temporary_folders()
    with ExitStack() as closing:
        with deferred() as deliver:  # Interrupted while it starts, Ray may hang, and leave processes.
            if address is None:
                context = None
                warm = _warm.pop() if _warm else closing.enter_context(_warm_server())
                if warm.is_running:  # Otherwise `ray.init` waits for the workers.
                    os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
                with (
                    without_dashboard(),
                    quick_start(partial(warm.worker, _FIRST_JOB), partial(warm.ray_runs, _FIRST_JOB), closing),
                ):
                    ray.init(
                        address="local",
                        num_cpus=cpus or len(os.sched_getaffinity(0)),
                        log_to_driver=False,
                        logging_level="error",
                        include_dashboard=True,
                    )
                _protect_token()
                if ray.get_runtime_context().get_job_id() != _FIRST_JOB:
                    warm.end()
                _late.append(LateDashboard(ray._private.worker._global_node))
            else:
                context = join(address, _runtime_env())
        # Otherwise Tune prints each failed trial's traceback, which is in error.txt; the display shows one line.
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        closing.callback(_shut_down)
        try:
            deliver()
            yield _session(context)
        finally:
            if _kept:
                _kept[0].push(closing.pop_all())


@contextmanager
def ray_kept(*, address: str | None = None) -> Iterator[None]:
    """Within the context, Ray stays up from one `ray_session` to the next; it is shut down at the end.

    Args:
        address: that of these sessions. If it is None, the server of `warm_start` starts now: it has imported torch by
            the time that the sweep is planned.
    """
    with ExitStack() as stack:
        if address is None and not _is_running():
            _warm.append(stack.enter_context(_warm_server()))
        _kept.append(stack)
        try:
            yield
        finally:
            _kept.remove(stack)
            _warm.clear()


def _is_running() -> bool:
    """Whether Ray runs in this process; without importing it."""
    return "ray" in sys.modules and bool(sys.modules["ray"].is_initialized())


@contextmanager
def _warm_server() -> Iterator[WarmServer]:
    with scratch_folder() as folder, warm_starts(folder) as server:
        yield server


def _shut_down() -> None:
    import ray

    with ExitStack() as stack:
        stack.enter_context(shielded())
        if _late:
            stack.enter_context(_late.pop().ending())
        ray.shutdown()


def _check_temporary_folders() -> None:
    """Check that the paths of Ray's sockets are short enough: Ray would try for a minute, and then give no reason."""
    default = os.environ.get("TMPDIR", "/tmp") if sys.platform == "linux" else "/tmp"
    sockets = {
        "RAY_TMPDIR or TMPDIR": os.environ.get("RAY_TMPDIR", default) + _SESSION_SOCKET,
        "TMPDIR": tempfile.gettempdir() + "/pymp-12345678/listener-12345678",  # Of the dashboard's processes.
    }
    for name, path in sockets.items():
        if len(os.fsencode(path)) > _LONGEST_SOCKET:
            raise ConnectionError(
                f"Ray cannot start: its sockets would have paths of more than {_LONGEST_SOCKET} bytes, such as "
                f"{path!r}; set {name} to a shorter folder, such as /tmp"
            )


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
    return Session(
        dashboard=f"http://{url}" if url else None,
        nodes=nodes,
        late_dashboard=_late[0] if _late else None,
    )


def _runtime_env() -> dict[str, Any]:
    """What a cluster's nodes get, unless a submitted job sets it itself: Ray accepts no key twice."""
    return {} if "py_modules" in submitted_environment() else {"py_modules": [str(_PACKAGE)]}


def _protect_token() -> None:
    """Let nobody else read the token that Ray has made: with it, others on this machine could run code as this user."""
    with suppress(OSError):
        TOKEN.chmod(0o600)
