"""Ray's dashboard, started once a sweep wants it: its twelve processes take longer to start than the rest of Ray."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["LateDashboard", "without_dashboard"]

_SERVICES = "start_api_server", "start_monitor", "start_log_monitor"
"""Methods of Ray's node."""


@contextmanager
def without_dashboard() -> Iterator[None]:
    """Within the context, `ray.init` starts only what running tasks needs.

    That is: no dashboard; no autoscaler, since one machine has nothing to scale; and no log monitor, which sends what
    workers print to the driver, and costs 3 % of a CPU all the time.
    """
    from ray._private.node import Node

    kept = {name: getattr(Node, name) for name in _SERVICES}
    for name in kept:
        setattr(Node, name, lambda node, **options: None)
    try:
        yield
    finally:
        for name, method in kept.items():
            setattr(Node, name, method)


class LateDashboard:
    """The dashboard of a Ray that this process has started `without_dashboard`.

    Args:
        node: Ray's head node.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._process: Any = None
        self._is_ending = False
        self._answered, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def open(self, told: Callable[[str], None], *, after: float = 0.0) -> None:
        """Start it, unless that was done before. Returns at once.

        Args:
            told: called by another thread, with its address, once it answers; never if it cannot be started.
            after: seconds until it starts.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(told, after), name="wsnet-dashboard", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Wait until one that was opened answers, or could not be started."""
        self._answered.wait()

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Within the context, Ray ends; a dashboard that does not answer yet is ended before."""
        self._is_ending = True
        if not self._answered.is_set():
            self._ended.set()
            if self._process is not None:
                self._process.kill()
        try:
            yield
        finally:
            self._ended.set()
            if self._thread is not None:
                self._thread.join()

    def _run(self, told: Callable[[str], None], after: float) -> None:
        from ray._private import services

        if self._ended.wait(after):
            return
        start = services.start_ray_process

        def noted(*arguments: Any, **options: Any) -> Any:
            started = start(*arguments, **options)
            self._process = started.process
            if self._is_ending:
                self._process.kill()
            return started

        services.start_ray_process = noted
        try:
            self._node.start_api_server(include_dashboard=True, raise_on_failure=True)
            if not self._is_ending:
                told(f"http://{self._node.webui_url}")
        except Exception:  # A sweep does not need it.
            pass
        finally:
            services.start_ray_process = start
            self._answered.set()
        self._ended.wait()  # The system ends the dashboard with the thread that has started it.
