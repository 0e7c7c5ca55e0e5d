"""Nodes that join a cluster while a sweep runs: the first trial that comes to one asks what `check_nodes` asked others.

A trial that finds its node lacking has not begun, and starts again elsewhere.
"""

import re
from dataclasses import dataclass

from wsnet.config.architectures import ModelConfig
from wsnet.config.data import DataConfig

__all__ = ["LateNodeError", "NodeNeeds", "lacking_node"]


class LateNodeError(RuntimeError):
    """The node that a trial was sent to lacks something. The text begins with Ray's name of the node."""


@dataclass(frozen=True, kw_only=True)
class NodeNeeds:
    """What a node must have, and which nodes are known to have it.

    Attributes:
        checked: Ray's names of these nodes.
        code: hash of the driver's wsnet.
        data: image sets, with the hash of each.
        weights: models that start from pretrained weights, with the hash of the file.
    """

    checked: frozenset[str]
    code: str
    data: dict[DataConfig, str]
    weights: dict[ModelConfig, str]


def lacking_node(error: str) -> tuple[str, str] | None:
    """Ray's name of the node, and the line about it, if a trial's last error is that its node lacks something."""
    found = re.search(r"LateNodeError: (\w+): (node .*)", error.rpartition("Failure # ")[2])
    return None if found is None else (found[1], found[2])
