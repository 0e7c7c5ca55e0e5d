"""Channels of the layers that each network normalizes, known without building it: groups of a norm must divide them."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from wsnet.config.base import conflict
from wsnet.config.depths import DENSE_DEPTH, RESIDUAL_DEPTH
from wsnet.config.errors import listed

__all__ = ["DENSENETS", "Channels", "check_groups", "normalized_channels", "pyramid_widths", "wrong_groups"]

Block = Literal["basic", "bottleneck"]
Channels = Iterator[tuple[int, bool]]
"""Channels of normalized layers, each with whether the sum of a residual block comes next, instead of an activation."""

_MOST_SHOWN = 5
"""Different numbers of channels in a message."""

DENSENETS: dict[int, tuple[int, int, tuple[int, ...]]] = {
    121: (32, 64, (6, 12, 24, 16)),
    161: (48, 96, (6, 12, 36, 24)),
    169: (32, 64, (6, 12, 32, 32)),
    201: (32, 64, (6, 12, 48, 32)),
}
"""Growth rate, channels of the first convolution, and layers in each block, by DenseNet's depth."""


def pyramid_widths(depth: int, alpha: float, block: Block, width: int) -> list[int]:
    """Channels inside each block of a PyramidNet, over all three stages (Han et al. 2017, equation 3).

    Raises:
        ValueError: no whole number of blocks gives this depth.
    """
    blocks = 3 * RESIDUAL_DEPTH[block].blocks(depth)
    return [round(width + alpha * number / blocks) for number in range(1, blocks + 1)]


def check_groups(groups: int, name: str, options: Mapping[str, Any], *, before_sums: bool) -> None:
    """Raise a mistake if groups do not divide the channels of every layer that they normalize.

    Args:
        groups: of the norm.
        name: the architecture.
        options: of the architecture.
        before_sums: whether the norm normalizes before sums, too.
    """
    if text := wrong_groups(groups, normalized_channels(name, options, before_sums=before_sums)):
        raise conflict((text, ("norm.groups", "norm.name", *_FAMILIES[name][1])))


def wrong_groups(groups: int, channels: Iterable[int]) -> str:
    """That groups do not divide the channels of every layer, and which would; empty if they do."""
    found = sorted(channels)
    common = math.gcd(*found)
    if common % groups == 0:
        return ""
    possible = ", ".join(str(each) for each in range(common, 0, -1) if common % each == 0)
    return (
        f"groups must divide the channels, but got groups={groups} with layers of {_named(found)} channels; "
        f"possible: {possible}"
    )


def _named(channels: list[int]) -> str:
    """`16, 32 and 64`, or the first few of many."""
    if len(channels) > _MOST_SHOWN:
        return f"{', '.join(map(str, channels[: _MOST_SHOWN - 1]))}, ..."
    return listed(channels)


def normalized_channels(name: str, options: Mapping[str, Any], *, before_sums: bool = True) -> set[int]:
    """Channels of the layers that a network normalizes; empty if these are not known.

    Args:
        name: the architecture.
        options: of the architecture, as in its configuration.
        before_sums: whether layers before the sum of a residual block count.
    """
    if name not in _FAMILIES:
        return set()
    family, keys = _FAMILIES[name]
    try:
        found = list(family(**{key: options[key] for key in keys}))
    except ValueError:  # An option is invalid, which is a mistake of its own.
        return set()
    return {channels for channels, is_before_sum in found if before_sums or not is_before_sum}


def _alexnet() -> Channels:
    yield from _plain(64, 192, 384, 256)


def _vgg() -> Channels:
    yield from _plain(64, 128, 256, 512)


def _plain(*channels: int) -> Channels:
    yield from ((each, False) for each in channels)


def _residual(stem: int, inner: list[int], outer: list[int]) -> Channels:
    yield from _plain(stem, *inner)
    yield from ((each, True) for each in outer)


def _cifar_resnet(block: Block, width: int, first_stage: str) -> Channels:
    yield from _residual(width, *_three_stages(block, width, first_stage))


def _three_stages(block: Block, width: int, first_stage: str) -> tuple[list[int], list[int]]:
    """Channels inside the blocks of each stage, and after them."""
    inner = _doubling(width, 3)
    outer = inner if block == "basic" else _doubling(4 * width, 3)
    if first_stage == "stem":
        if block == "basic" or width % 4:
            raise ValueError(f"first_stage 'stem' needs bottlenecks and a width divisible by 4, but got {width}")
        inner, outer = [width // 4, *inner[1:]], [width, *outer[1:]]
    return inner, outer


def _preact_resnet(
    block: Block,
    width: int,
    first_stage: str,
    preact_stage: tuple[bool, bool, bool],
    remove_first_relu: bool,
    add_last_norm: bool,
) -> Channels:
    inner, outer = _three_stages(block, width, first_stage)
    yield from _plain(*inner, outer[-1])
    for channels, is_shared in zip([width, *outer], [*preact_stage, False], strict=True):
        yield channels, remove_first_relu and not is_shared
    if add_last_norm:
        yield from ((each, True) for each in outer)


def _resnet(depth: int) -> Channels:
    yield from _residual(64, _doubling(64, 4), _doubling(64 if depth < 50 else 256, 4))


def _resnext(cardinality: int, group_width: int) -> Channels:
    yield from _residual(64, _doubling(cardinality * group_width, 4), _doubling(256, 4))


def _cifar_resnext(cardinality: int, group_width: int) -> Channels:
    yield from _residual(64, _doubling(cardinality * group_width, 3), _doubling(256, 3))


def _wrn(widening: int) -> Channels:
    yield from _plain(16, *_doubling(16 * widening, 3))


def _cifar_densenet(
    depth: int, growth_rate: int, bottleneck: bool, compression: float, stem_width: int | None
) -> Channels:
    blocks = (DENSE_DEPTH[bottleneck].blocks(depth),) * 3
    stem = stem_width or (2 * growth_rate if bottleneck else 16)
    yield from _dense(blocks, growth_rate, stem, bottleneck, compression)


def _densenet(depth: int) -> Channels:
    growth_rate, stem, blocks = DENSENETS[depth]
    yield stem, False
    yield from _dense(blocks, growth_rate, stem, True, 0.5)


def _dense(blocks: tuple[int, ...], growth_rate: int, channels: int, bottleneck: bool, compression: float) -> Channels:
    if bottleneck:
        yield 4 * growth_rate, False
    for number, layers in enumerate(blocks, start=1):
        yield from _plain(*range(channels, channels + layers * growth_rate + 1, growth_rate))
        channels += layers * growth_rate
        channels = int(channels * compression) if number < len(blocks) else channels


def _pyramidnet(depth: int, alpha: float, block: Block, width: int, stem_width: int | None) -> Channels:
    inner = pyramid_widths(depth, alpha, block, width)
    outer = inner if block == "basic" else [4 * each for each in inner]
    yield from _plain(*inner, outer[-1])
    yield from ((each, True) for each in (stem_width or width, *outer))


def _shake_shake(width: int, stem_width: int) -> Channels:
    yield stem_width, True
    yield from _plain(*_doubling(width, 3))


def _doubling(channels: int, stages: int) -> list[int]:
    return [channels << stage for stage in range(stages)]


_THREE_STAGES = ("block", "width", "first_stage")
_FAMILIES: dict[str, tuple[Callable[..., Channels], tuple[str, ...]]] = {
    "alexnet": (_alexnet, ()),
    "vgg": (_vgg, ()),
    "cifar_resnet": (_cifar_resnet, _THREE_STAGES),
    "resnet": (_resnet, ("depth",)),
    "preact_resnet": (_preact_resnet, (*_THREE_STAGES, "preact_stage", "remove_first_relu", "add_last_norm")),
    "wrn": (_wrn, ("widening",)),
    "cifar_resnext": (_cifar_resnext, ("cardinality", "group_width")),
    "resnext": (_resnext, ("cardinality", "group_width")),
    "cifar_densenet": (_cifar_densenet, ("depth", "growth_rate", "bottleneck", "compression", "stem_width")),
    "densenet": (_densenet, ("depth",)),
    "pyramidnet": (_pyramidnet, ("depth", "alpha", "block", "width", "stem_width")),
    "shake_shake": (_shake_shake, ("width", "stem_width")),
}
"""By architecture: its channels, and the options that these depend on. torchvision's networks have their own norms."""
