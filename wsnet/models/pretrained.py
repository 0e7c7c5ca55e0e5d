"""Published weights to start from: torchvision's files, and others with the same names (`model.pretrained`).

Files are read with `weights_only`, so that no code in them is run. They may contain:

* a state (name to tensor), as in torchvision's files, also with DenseNet's old names (`norm.1`);
* {"state_dict": state, ...}, as in the published ImageNet checkpoints of Weight Standardization (Qiao et al. 2019);
* a checkpoint of wsnet, of which only the weights are used;
* names with the prefix `module.`, which DataParallel adds.
"""

import hashlib
import pickle
import re
import urllib.error
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsnet.config.architectures import ModelConfig
from wsnet.layers import NormalizedConv2d
from wsnet.models.build import ModelError

__all__ = ["PretrainedError", "load_pretrained", "pretrained_hash", "torchvision_name"]


class PretrainedError(ModelError):
    """Weights that cannot be read or downloaded, or do not fit; the message says why."""


_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")
_SHOWN = 3
"""How many names of each kind a message shows."""


def torchvision_name(model: ModelConfig) -> str | None:
    """Name of the network in torchvision that has the same weights by name and shape; None if there is none."""
    from wsnet.models.torchvision_net import classification_networks

    options = model.model_dump()
    norms = {"alexnet": ("none",), "vgg": ("none", "batch")}.get(model.name, ("batch",))
    if model.norm.name not in norms or model.weight != "none":
        return None
    suffix = "_bn" if model.norm.name == "batch" else ""
    pattern = {
        "alexnet": "alexnet",
        "vgg": f"vgg{{depth}}{suffix}",
        "resnet": "resnet{depth}",
        "resnext": "resnext{depth}_{cardinality}x{group_width}d",
        "densenet": "densenet{depth}",
        "torchvision": "{architecture}",
    }.get(model.name, "")
    name = pattern.format(**options)
    small = options.get("stem") == "cifar" or options.get("layout") == "cifar"
    return name if name in classification_networks() and not small else None


def pretrained_hash(model: ModelConfig) -> str | None:
    """SHA-256 of the file of `model.pretrained`, which is part of a trial's identity; None without one.

    Raises:
        PretrainedError: there is no such file, and none could be downloaded.
    """
    path = _file(model)
    return None if path is None else _sha256(path, path.stat().st_mtime_ns)


def load_pretrained(network: nn.Module, model: ModelConfig, *, classes: int) -> list[str]:
    """Load the weights of `model.pretrained`, if any, into a built and initialized network, in place.

    A linear layer with an output for each class keeps its initial weights if the file has another number of classes.
    If the file has no gains of normalized filters, they are set to the norms of the file's filters, so that the network
    computes the same function.

    Args:
        network: the network of this configuration.
        model: its configuration.
        classes: number of classes.

    Returns:
        Names of the parameters that keep their initial weights.

    Raises:
        PretrainedError: the file is missing, or holds no weights or those of another network.
    """
    path = _file(model)
    if path is None:
        return []
    state, own = _read(path), network.state_dict()
    kept = _of_other_classes(network, state, own, classes)
    gains = {f"{name}.g": module for name, module in network.named_modules() if isinstance(module, NormalizedConv2d)}
    optional = {name for name in own if name.endswith("num_batches_tracked")} | set(gains)
    missing = [name for name in own if name not in state and name not in optional]
    unknown = [name for name in state if name not in own]
    shapes = [
        f"{name} is {_shape(state[name])} there and {_shape(own[name])} here"
        for name in own
        if name in state and name not in kept and state[name].shape != own[name].shape
    ]
    found = [("lacks", missing), ("also has", unknown), ("has other shapes:", shapes)]
    wrong = "; ".join(f"it {what} {_few(names)}" for what, names in found if names)
    if wrong:
        raise PretrainedError(f"model.pretrained: {path} holds the weights of a different network: {wrong}")
    network.load_state_dict({name: value for name, value in state.items() if name not in kept}, strict=False)
    for name in gains.keys() - state.keys():
        gains[name].reset_gain()
    if model.pretrained is True and hasattr(network, "transform_input"):
        # torchvision's weights of this network expect images normalized as in TensorFlow.
        network.transform_input = True  # type: ignore[assignment]
    return kept


def _file(model: ModelConfig) -> Path | None:
    if model.pretrained is False:
        return None
    path = _torchvisions(model) if model.pretrained is True else Path(model.pretrained)
    if not path.is_file():
        raise PretrainedError(f"model.pretrained: there is no file {path}; give the path of a file of weights")
    return path


def _torchvisions(model: ModelConfig) -> Path:
    """torchvision's file of ImageNet weights, downloaded to where torchvision itself keeps it."""
    name = torchvision_name(model)
    if name is None:
        raise PretrainedError(
            f"model.pretrained: torchvision has no weights for {model.name!r} with these options (it has the layouts "
            "for ImageNet, with batch norm and plain weights); give the path of a file of weights"
        )
    import torchvision

    published = list(torchvision.models.get_model_weights(name))
    if not published:
        raise PretrainedError(f"model.pretrained: torchvision has published no weights of {name}; give a path")
    url: str = published[0].url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        digits = re.search(r"-([0-9a-f]{8,})\.", path.name)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=digits[1] if digits else None, progress=False)
        except (urllib.error.URLError, OSError, RuntimeError) as error:
            raise PretrainedError(
                f"model.pretrained: {url} cannot be downloaded ({error}); put it at {path}"
            ) from error
    return path


def _read(path: Path) -> dict[str, Tensor]:
    """The state in a file, under wsnet's names."""
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise PretrainedError(f"model.pretrained: {path} is not a file of weights, or is damaged") from error
    if isinstance(content, Mapping):
        inner = "model" if "trial_id" in content else "state_dict"  # wsnet's own checkpoints; others
        content = content.get(inner, content)
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise PretrainedError(f"model.pretrained: {path} holds no weights; it should map names to tensors")
    return {_OLD_DENSENET.sub(r"\1\2.", name.removeprefix("module.")): value for name, value in content.items()}


def _of_other_classes(
    network: nn.Module, state: Mapping[str, Tensor], own: Mapping[str, Tensor], classes: int
) -> list[str]:
    """Parameters of linear layers with an output for each class, if the file's have another number of outputs."""
    return [
        full
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == classes
        for full in (f"{name}.weight", f"{name}.bias")
        if full in state and state[full].shape[0] != classes and state[full].shape[1:] == own[full].shape[1:]
    ]


@lru_cache
def _sha256(path: Path, changed: int) -> str:
    """SHA-256 of a file's content; `changed`, the time of its last change, invalidates the cache."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
