"""Keeps trials off nodes of a running cluster that cannot train them."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from wsnet.sweep.cluster.resources import Allocation

__all__ = ["RefusedNodes", "refusing_nodes"]


class RefusedNodes:
    """Reserves what trials could get on such a node, so that Ray sends them elsewhere. (It has no list of such nodes.)

    Args:
        allocation: what each worker gets.
    """

    def __init__(self, allocation: Allocation) -> None:
        self._allocation = allocation
        self._reserved: dict[str, list[Any]] = {}

    def refuse(self, node_id: str) -> bool:
        """Reserve the node, also what is in use there once that is free.

        Args:
            node_id: Ray's name of the node.

        Returns:
            Whether that was not done before.
        """
        if node_id in self._reserved:
            return False
        import ray

        there: dict[str, float] = next((node["Resources"] for node in ray.nodes() if node["NodeID"] == node_id), {})
        each = {"CPU": self._allocation.cpus, "GPU": self._allocation.gpus}
        bundle = {name: number for name, number in each.items() if number}
        slots = min((int(there.get(name, 0) / number + 1e-6) for name, number in bundle.items()), default=0)
        self._reserved[node_id] = [
            ray.util.placement_group([bundle], bundle_label_selector=[{"ray.io/node-id": node_id}])
            for _ in range(slots)
        ]
        return True

    def release(self) -> None:
        """Give everything back."""
        import ray

        for group in (group for groups in self._reserved.values() for group in groups):
            with suppress(Exception):  # Ray may have ended.
                ray.util.remove_placement_group(group)


@contextmanager
def refusing_nodes(allocation: Allocation) -> Iterator[RefusedNodes]:
    """Nodes refused within the context are reserved until its end."""
    refused = RefusedNodes(allocation)
    try:
        yield refused
    finally:
        refused.release()
