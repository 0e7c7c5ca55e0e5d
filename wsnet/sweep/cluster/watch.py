"""A joined Ray cluster that ends: said in a sentence, since Ray ends this process after a minute without one."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

__all__ = ["cluster_address", "watched", "watched_cluster"]

_EVERY, _PATIENCE = 5.0, 4
"""Seconds between two looks, and how many must fail one after the other."""


def cluster_address() -> str | None:
    """host:port of the Ray cluster that this process has joined, if it has joined one."""
    import ray

    return str(ray.get_runtime_context().gcs_address) if ray.is_initialized() else None


@contextmanager
def watched_cluster(console: Console) -> Iterator[None]:
    """Within the context, say so if the cluster that was joined no longer answers."""
    address = cluster_address()
    if address is None:
        yield
        return
    with watched(address, console):
        yield


@contextmanager
def watched(address: str, console: Console, *, every: float = _EVERY) -> Iterator[None]:
    """Within the context, print a line once `address` has not answered several times.

    Args:
        address: host:port of a server.
        console: where to print.
        every: seconds between two looks.
    """
    ended = threading.Event()
    thread = threading.Thread(target=_look, args=(address, console, every, ended), name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _look(address: str, console: Console, every: float, ended: threading.Event) -> None:
    host, _, port = address.rpartition(":")
    failures = 0
    while not ended.wait(every):
        try:
            socket.create_connection((host, int(port)), timeout=every).close()
            failures = 0
        except OSError:
            failures += 1
        if failures == _PATIENCE:
            text = (
                f"the Ray cluster at {address} no longer answers; if it has ended, Ray ends this sweep within a minute"
            )
            way_out = "what is done is kept, and the same command continues on another cluster, or without --address"
            console.print(f"{text}; {way_out}", highlight=False, markup=False, soft_wrap=True)
