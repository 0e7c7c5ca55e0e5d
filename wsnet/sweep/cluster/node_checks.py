"""Whether every node of a cluster can train a sweep: same code, same images, and it sees the results' folder."""

import hashlib
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wsnet.config import TrialConfig
from wsnet.config.architectures import ModelConfig
from wsnet.config.data import DataConfig
from wsnet.config.image_folder import find_layout
from wsnet.data import DataError, load
from wsnet.data.sources import find_source
from wsnet.errors import Error
from wsnet.models import pretrained_hash
from wsnet.storage import Folder
from wsnet.sweep.cluster.ray_session import Node
from wsnet.sweep.trials.context import SweepContext
from wsnet.sweep.trials.late_node import LateNodeError, NodeNeeds

__all__ = ["NodeError", "check_here", "check_nodes", "missing_here", "needs_of"]

_PACKAGE = Path(__file__).parents[2]

_WAYS_OUT = {
    "images": "put them there, start Ray on that node with WSNET_DATA set to the folder that has them",
    "weights": "put the file there too",
    "code": "update it, or move it: what is in the driver's directories comes before what the driver brings",
    "storage": "--storage must be a folder that all nodes share, or a bucket: mount it on that node",
}


_met: list[NodeNeeds] = []
"""What this process's node has been found to have."""


class NodeError(Error):
    """Nodes of a cluster that cannot train a sweep: a line for each, with what it lacks and what to do."""


def needs_of(context: SweepContext, configs: Iterable[TrialConfig], nodes: list[Node]) -> NodeNeeds:
    """What a node that joins later must have to train trials.

    Args:
        context: what the trials will know.
        configs: their configurations.
        nodes: the nodes that are there now, all checked.
    """
    configs = list(configs)
    return NodeNeeds(
        checked=frozenset(node.node_id for node in nodes),
        code=_code(),
        data={each.data: _hash(each.data, context.root) for each in configs},
        weights={each.model: found for each in configs if (found := pretrained_hash(each.model)) is not None},
    )


def check_nodes(nodes: list[Node], context: SweepContext, configs: Iterable[TrialConfig]) -> None:
    """Ask each node, by a task that runs there, whether it has what the trials need, before one of them starts.

    Sets that are decoded are decoded into the node's cache, and compared by their hash. Of a streamed set, only its
    folders and the number of its files are compared; the first trial on the node hashes the files.

    Args:
        nodes: where trials may run, without the node of this process, whose images the plan was made with.
        context: what the trials will know.
        configs: their configurations.

    Raises:
        NodeError: naming each node that lacks something.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    needs = needs_of(context, configs, nodes)
    look = ray.remote(num_cpus=0, max_retries=0)(missing_here)
    asked = [
        look.options(
            name=f"check {node.name}", scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        ).remote(context, needs.code, needs.data, needs.weights)
        for node in nodes
    ]
    answers = [(node, _answer(ray, answer)) for node, answer in zip(nodes, asked, strict=True)]
    alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    refused = [
        f"node {node.name}: {lacking}, or leave the node out of the cluster"
        for node, lacking in answers
        if lacking is not None and node.node_id in alive
    ]
    if refused:
        raise NodeError("\n".join(refused))


def check_here(context: SweepContext) -> None:
    """Check that this node has what trials need, if it was not there when the sweep started. Nothing is downloaded.

    Raises:
        LateNodeError: it has not.
    """
    needs = context.needs
    if needs is None or any(needs is one for one in _met):
        return
    import ray

    node_id = ray.get_runtime_context().get_node_id()
    if node_id not in needs.checked:
        lacking = missing_here(context, needs.code, needs.data, needs.weights, downloads=False)
        if lacking is not None:
            name = f"{socket.gethostname()} ({ray.util.get_node_ip_address()})"
            raise LateNodeError(f"{node_id}: node {name}: {lacking}")
    _met.append(needs)


def missing_here(
    context: SweepContext,
    code: str,
    data: dict[DataConfig, str],
    weights: dict[ModelConfig, str],
    *,
    downloads: bool = True,
) -> str | None:
    """What this node lacks, and what to do about it; None if nothing.

    Args:
        context: what the trials will know.
        code: hash of the driver's wsnet.
        data: image sets, with what `_hash` gave on the driver's node.
        weights: models that start from pretrained weights, with the hash of the file.
        downloads: whether a set that is not there is downloaded, if it is one of the official ones.
    """
    if _code() != code:
        return f"its {_PACKAGE} is not the driver's wsnet; {_WAYS_OUT['code']}"
    folder = Folder(context.folder)
    try:
        if not folder.exists("sweep.json"):
            return f"it does not see the results in {folder.location}; {_WAYS_OUT['storage']}"
    except OSError as error:
        return f"it cannot read {folder.location} ({error.strerror or error}); {_WAYS_OUT['storage']}"
    for config, expected in data.items():
        try:
            if not (downloads or config.streams or find_source(config, context.root)):
                return f"the images of {config.name!r} are not in {str(context.root)!r}; {_WAYS_OUT['images']}"
            if _hash(config, context.root) != expected:
                where = config.path or context.root
                return f"its images of {config.name!r} in {where} are others than the driver's; {_WAYS_OUT['images']}"
        except (DataError, OSError) as error:
            return f"{str(error).splitlines()[0].removesuffix('. Looked for')}; {_WAYS_OUT['images']}"
    for model, expected in weights.items():
        try:
            if pretrained_hash(model) != expected:
                return f"its file of model.pretrained is another one than the driver's; {_WAYS_OUT['weights']}"
        except ValueError as error:
            return f"{str(error).splitlines()[0]}; {_WAYS_OUT['weights']}"
    return None


def _code() -> str:
    """Hash of this process's wsnet."""
    digest = hashlib.sha256()
    for file in sorted(_PACKAGE.rglob("*")):
        if file.suffix in (".py", ".cpp", ".csv"):
            digest.update(f"{file.relative_to(_PACKAGE)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _hash(config: DataConfig, root: Path) -> str:
    """What two nodes with the same images have in common.

    Raises:
        DataError: there are none.
        OSError: they cannot be read.
    """
    if not config.streams:
        return load(config, root=root).hash
    layout = find_layout(Path(config.path) if config.path else root / config.name)
    return repr((layout.classes, layout.counts))


def _answer(ray: Any, answer: Any) -> str | None:
    try:
        found: str | None = ray.get(answer)
    except ray.exceptions.RayError as error:  # Packages are missing there, or have other versions.
        return f"it cannot run wsnet ({str(error).strip().splitlines()[-1]}); install the same packages there"
    return found
