"""Has `ray.init` return as soon as tasks can run, instead of waiting for processes that only the dashboard needs.

A node's raylet waits until its two agents have imported what they need, which takes seconds: they choose the ports
that they listen on, and leave them in files, for the raylet to read. Here the ports are chosen, and the files written,
before either starts.
"""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

__all__ = ["quick_start"]

_PORTS = {
    "metrics_agent_port": "METRICS_AGENT_PORT_NAME",
    "dashboard_agent_listen_port": "DASHBOARD_AGENT_LISTEN_PORT_NAME",
    "runtime_env_agent_port": "RUNTIME_ENV_AGENT_PORT_NAME",
}
"""Parameters of Ray's node, with the names of Ray's constants for the files."""

_METRICS = "RAY_enable_metrics_collection"

_POLITE = ("nice", "-n", "10")
"""Starts a process that gives way to others."""


@contextmanager
def quick_start(
    worker: Callable[[str], str], raylet_runs: Callable[[int], None], reserved: ExitStack
) -> Iterator[None]:
    """Within the context, `ray.init` waits for no agent, and the dashboard's agent gives way to trials.

    Args:
        worker: gives the program that a worker process runs, instead of Ray's.
        raylet_runs: told the process id of the raylet as soon as that has been started.
        reserved: keeps the agents' ports from others; to be closed when Ray has ended.
    """
    try:
        from ray._private import services
        from ray._private.node import Node

        start, command = Node.start_raylet, services._build_python_executable_command_memory_profileable
    except (ImportError, AttributeError):  # Another version of Ray starts as it does by itself.
        yield
        return

    def start_raylet(node: Any, *arguments: Any, **options: Any) -> None:
        node._ray_params.worker_path = worker(node._ray_params.worker_path)
        with suppress(OSError, AttributeError):  # Then the raylet waits for its agents.
            _choose_ports(node, reserved)
        start(node, *arguments, **options)
        raylet_runs(node.all_processes["raylet"][0].process.pid)

    def polite_command(component: str, *arguments: Any, **options: Any) -> Any:
        is_polite = component == "dashboard_agent" and shutil.which(_POLITE[0]) is not None
        return [*(_POLITE if is_polite else ()), *command(component, *arguments, **options)]

    Node.start_raylet = start_raylet
    services._build_python_executable_command_memory_profileable = polite_command
    try:
        yield
    finally:
        Node.start_raylet = start
        services._build_python_executable_command_memory_profileable = command


def _choose_ports(node: Any, reserved: ExitStack) -> None:
    """Choose the ports of a node's agents, and write them where the raylet looks for them."""
    from ray import _raylet

    names: Any = _raylet
    chosen = {name: _reserve(node._node_ip_address, reserved) for name in _PORTS}
    for name, port in chosen.items():
        setattr(node._ray_params, name, port)
        names.persist_port(node._session_dir, node._node_id, getattr(names, _PORTS[name]), port)
    if os.environ.get(_METRICS) == "0":
        names.persist_port(node._session_dir, node._node_id, names.METRICS_EXPORT_PORT_NAME, -1)


def _reserve(host: str, reserved: ExitStack) -> int:
    """A free port, which nobody else is given while `reserved` is open; a server that shares its address can listen."""
    family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    holder = reserved.enter_context(socket.socket(family, socket.SOCK_STREAM))
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(address)
    return int(holder.getsockname()[1])
