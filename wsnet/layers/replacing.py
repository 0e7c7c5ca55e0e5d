"""`wsnet.replace_norms`: another norm, and reparametrized convolutions, in a model that was not made by wsnet."""

import inspect
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from wsnet.config.channels import wrong_groups
from wsnet.config.errors import ConfigError, Mistake, counted
from wsnet.config.norm import GroupNormConfig, LayerNormConfig, NormConfig, OwnNormConfig
from wsnet.config.reading.options import NormOptions, norm_options
from wsnet.layers.batch_renorm import BatchRenorm2d
from wsnet.layers.layer_norm import LayerNorm2d
from wsnet.layers.norms import Size, make_norm
from wsnet.layers.online_norm import OnlineNorm2d
from wsnet.layers.own_norm import load_own_norm
from wsnet.layers.replacing_convolutions import convolutions_before, reparametrized

__all__ = ["replace_norms"]

Model = TypeVar("Model", bound=nn.Module)

_REPLACED = (
    *(nn.BatchNorm2d, nn.SyncBatchNorm, nn.GroupNorm, nn.InstanceNorm2d),
    *(BatchRenorm2d, LayerNorm2d, OnlineNorm2d),
)
"""Norms of maps, N x channels x height x width; classes derived from them, such as timm's, count as well."""
_LEFT = (nn.LayerNorm, nn.RMSNorm, nn.BatchNorm1d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm3d)
"""Norms of something else, which are left as they are."""
_WITH_ACTIVATION = ("evonorm_s0", "filter_response")
_ANY_SIZE: Size = (1, 2)
"""Stands for an unknown size of maps, where nothing depends on it."""


def replace_norms(
    model: Model,
    norm: NormOptions,
    *,
    weight: Literal["none", "standardized", "normalized"] = "none",
    shape: tuple[int, int, int] | None = None,
    verbose: bool = True,
    **options: Any,
) -> Model:
    """Replace the norms of any model, such as one of torchvision's or timm's, in place.

        wsnet.replace_norms(torchvision.models.resnet50(), "online")
        wsnet.replace_norms(my_model, "group", groups=16, weight="standardized")
        wsnet.replace_norms(my_model, "layer", shape=(3, 224, 224))

    Replaced are BatchNorm2d, SyncBatchNorm, GroupNorm and InstanceNorm2d, classes derived from them, and wsnet's
    BatchRenorm2d, LayerNorm2d and OnlineNorm2d. A derived class with an activation (timm's BatchNormAct2d) keeps it.
    Norms of vectors and tokens (LayerNorm, RMSNorm, BatchNorm1d) and of volumes are left.

    The new norm has the channels, device, dtype and mode (training or evaluation) of the old one, and its scale and
    shift where both have them. Running statistics are kept from batch norm to batch norm; otherwise they start anew.
    With norm "none", activations no longer work in place, since their input may now be needed elsewhere.

    Args:
        model: the model; changed.
        norm: a norm's name, `file.py:Class` for one of your own, or a mapping with its options too.
        weight: how to reparametrize the weights of the convolutions before these norms: the last one registered before
            each, with no other convolution or linear layer between.
        shape: (channels, height, width) of one image, for norms that depend on the size of maps; the model is run once
            on an image of zeros.
        verbose: print what was replaced.
        **options: of the norm, such as `groups=8`.

    Returns:
        The model; if it is itself a norm, the new one.

    Raises:
        ConfigError: the norm or an option is wrong, the model has no norm to replace, or the norm or the weights do
            not fit one of its layers (a ValueError). The model is then unchanged.
    """
    if isinstance(norm, str):
        norm = {"name": norm}
    config = norm_options({**norm, **options} if isinstance(norm, Mapping) else norm, place=_PLACE)
    if weight not in ("none", "standardized", "normalized"):
        raise _refused("weight", f"must be 'none', 'standardized' or 'normalized', but got {weight!r}")
    if config.name in _WITH_ACTIVATION:
        raise _refused(
            "norm",
            f"{config.name!r} has an activation of its own, so the model's activations would have to change too; use "
            "it in one of wsnet's networks (wsnet.model)",
        )
    old = {name: module for name, module in model.named_modules() if isinstance(module, _REPLACED)}
    if not old:
        raise _refused("", _nothing_to_replace(model))
    if isinstance(config, GroupNormConfig):
        channels = {name: _channels(module, name) for name, module in old.items()}
        if wrong := wrong_groups(config.groups, set(channels.values())):
            first = next(name for name, count in channels.items() if count % config.groups)
            raise _refused(first or type(model).__name__, wrong)
    sizes = {} if shape is None else _sizes(model, list(old.values()), shape)
    made: dict[nn.Module, nn.Module] = {}
    for name, module in old.items():
        made[module] = _made(module, name, config, sizes.get(module), model)
    convolutions = {} if weight == "none" else reparametrized(convolutions_before(model, made), weight, place=_PLACE)
    swapped = _swap(model, {**made, **convolutions})
    if config.name == "none":
        for activation in swapped.modules():
            if getattr(activation, "inplace", False) is True:
                activation.inplace = False  # type: ignore[assignment]
    if verbose:
        kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(type(m).__name__ for m in made).items())
        weights = f", and {counted(len(convolutions), 'convolution')} by {weight} ones" if convolutions else ""
        print(f"wsnet: replaced {kinds} by {config.name!r}{weights}", file=sys.stderr)
    return swapped


_PLACE = "wsnet.replace_norms"


def _refused(what: str, why: str) -> ConfigError:
    """The error for a layer or an argument."""
    return ConfigError([Mistake(_PLACE, what, why)])


def _channels(module: nn.Module, name: str) -> int:
    if isinstance(module, nn.GroupNorm):
        return module.num_channels
    if isinstance(module, LayerNorm2d):
        return module.shape[0]
    channels = len(module.weight) if isinstance(module, BatchRenorm2d) else module.num_features
    if not channels:
        raise _refused(name, "a lazy norm has no channels yet; run the model on a batch first")
    return int(channels)  # type: ignore[arg-type]


def _made(module: nn.Module, name: str, config: NormConfig, size: Size | None, model: nn.Module) -> nn.Module:
    """The norm in place of one of the model's, with what follows it in the same module."""
    channels = _channels(module, name)
    if size is None and _depends_on_size(config):
        or_channel = '; or affine="channel"' if config.name == "layer" else ""
        raise _refused(
            "norm",
            f"{config.name!r} depends on the size of its maps; give the shape of an image, such as "
            f"shape=(3, 224, 224){or_channel}",
        )
    try:
        norm = make_norm(config, channels, size or _ANY_SIZE)
    except ValueError as error:
        raise _refused(name or type(module).__name__, str(error)) from error
    like = next(
        (t for t in (*module.parameters(), *module.buffers(), *model.parameters()) if t.is_floating_point()), None
    )
    if like is not None:
        norm.to(like.device, like.dtype)
    _copy(module, norm)
    norm.is_in_norms_place = True  # type: ignore[assignment]
    after = [getattr(module, part, None) for part in ("drop", "act", "aa")]
    rest = [part for part in after if isinstance(part, nn.Module) and not isinstance(part, nn.Identity)]
    new = nn.Sequential(norm, *rest) if rest else norm
    return new.train(module.training)


def _depends_on_size(config: NormConfig) -> bool:
    if isinstance(config, OwnNormConfig):
        return "size" in inspect.signature(load_own_norm(config).__init__).parameters
    return isinstance(config, LayerNormConfig) and config.affine == "element"


@torch.no_grad()
def _copy(old: nn.Module, new: nn.Module) -> None:
    """Keep scale and shift where both norms have them, and running statistics where they mean the same."""
    for name in ("weight", "bias"):
        before, after = getattr(old, name, None), getattr(new, name, None)
        if isinstance(before, Tensor) and isinstance(after, nn.Parameter) and before.dim() == 1:
            after.copy_(before.view(-1, *[1] * (after.dim() - 1)))  # An element-wise one has the same for all elements.
            after.requires_grad_(before.requires_grad)
    if isinstance(old, nn.BatchNorm2d | nn.SyncBatchNorm) and isinstance(new, nn.modules.batchnorm._BatchNorm):
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            before, after = getattr(old, name, None), getattr(new, name, None)
            if isinstance(before, Tensor) and isinstance(after, Tensor):
                after.copy_(before)


def _sizes(model: nn.Module, norms: list[nn.Module], shape: tuple[int, int, int]) -> dict[nn.Module, Size]:
    """(height, width) of the maps that each norm takes."""
    sizes: dict[nn.Module, Size] = {}

    def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        sizes[module] = (inputs[0].shape[-2], inputs[0].shape[-1])

    hooks = [module.register_forward_pre_hook(note) for module in norms]
    modes = {module: module.training for module in model.modules()}
    parameter = next(model.parameters(), torch.zeros(()))
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, *shape, device=parameter.device, dtype=parameter.dtype))
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    return sizes


def _swap(model: Model, new: dict[nn.Module, nn.Module]) -> Model:
    """Put the new modules in the places of the old ones, wherever each is."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):  # `named_children` names a shared one once.
            if child is not None and child in new:
                setattr(parent, name, new[child])
    return new.get(model, model)  # type: ignore[return-value]


def _nothing_to_replace(model: nn.Module) -> str:
    left = Counter(type(module).__name__ for module in model.modules() if isinstance(module, _LEFT))
    text = f"{type(model).__name__} has no BatchNorm2d, SyncBatchNorm, GroupNorm or InstanceNorm2d to replace"
    if left:
        found = ", ".join(f"{count} {kind}" for kind, count in left.items())
        text += f"; it has {found}, which are left: they are of vectors or tokens, or over channels alone"
    return text
