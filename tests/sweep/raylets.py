"""Clusters of several nodes on this machine: each has its own raylet, object store and worker processes."""

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["kill_node", "raylets", "workers_on"]


@contextmanager
def raylets(*nodes: dict[str, Any], dashboard: bool = False) -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster`; the first node is the head.

    Args:
        nodes: options of each node, such as `num_cpus` and `env_vars`.
        dashboard: whether the head has one. TorchTrainer needs it.
    """
    from ray.cluster_utils import Cluster

    # Ray's sockets need a short path. A folder of its own, since Ray notes there which cluster is the latest.
    before, folder = os.environ.get("RAY_TMPDIR"), tempfile.mkdtemp(prefix="rays-", dir="/tmp")
    os.environ["RAY_TMPDIR"] = folder
    try:
        ports = {"dashboard_port": _free_port(), "dashboard_agent_listen_port": _free_port()}
        head = {**nodes[0], **ports, "include_dashboard": dashboard}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for node in nodes[1:]:
                cluster.add_node(**node)
            yield cluster
        finally:
            cluster.shutdown()
    finally:
        os.environ.pop("RAY_TMPDIR")
        if before is not None:
            os.environ["RAY_TMPDIR"] = before
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    """A port for the dashboard or its agent: the default one may be in use by another Ray."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def kill_node(cluster: Any, node: Any) -> None:
    """Kill the processes of a node at once, as if its power went."""
    for worker in workers_on(node):
        os.kill(worker, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)


def workers_on(node: Any, running: str = "") -> list[int]:
    """Processes in which a node runs a task, or an actor, of this name."""
    (raylet,) = node.all_processes["raylet"]
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
            title = (stat.parent / "cmdline").read_text(errors="replace")
        except OSError:  # It has ended.
            continue
        if parent == raylet.process.pid and title.startswith(f"ray::{running}"):
            found.append(int(stat.parent.name))
    return found
