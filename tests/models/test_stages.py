"""The sizes of the maps, which parameter counts do not see, against the papers' tables."""

from typing import Any

import pytest
import torch
from torch import nn

from tests.models.configs import config
from wsnet.models import build

Map = tuple[int, int, int]
CIFAR, IMAGENET = (3, 32, 32), (3, 224, 224)
VGG_IMAGENET = [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]


def maps_after(kinds: str, options: dict[str, Any], shape: Map) -> list[Map]:
    """The (channels, height, width) that leave the submodules of these paths or kinds, in the order of the forward."""
    seen: list[Map] = []
    with torch.device("meta"):
        # A layer norm per element fails where the model lost track of the map's size.
        model = build(config(**options, norm="layer"), classes=10, shape=shape)
        for path, module in model.named_modules():
            if path in kinds.split() or type(module).__name__ in kinds.split():
                module.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[1:])))
        assert model(torch.empty(2, *shape)).shape == (2, 10)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "shape", "expected"),
    [
        ({"name": "cifar_resnet", "depth": 20}, CIFAR, [(16, 32, 32), (32, 16, 16), (64, 8, 8)]),
        ({"name": "cifar_resnet", "depth": 20, "shortcut": "A"}, (1, 7, 5), [(16, 7, 5), (32, 4, 3), (64, 2, 2)]),
        (
            {"name": "cifar_resnet", "depth": 20, "block": "bottleneck"},
            (1, 28, 28),
            [(64, 28, 28), (128, 14, 14), (256, 7, 7)],
        ),
        (
            {"name": "cifar_resnet", "depth": 20, "block": "bottleneck", "first_stage": "stem"},
            CIFAR,
            [(16, 32, 32), (128, 16, 16), (256, 8, 8)],
        ),
        ({"name": "preact_resnet", "depth": 20}, (1, 8, 8), [(16, 8, 8), (32, 4, 4), (64, 2, 2)]),
        (
            {"name": "preact_resnet", "depth": 164, "block": "bottleneck"},
            CIFAR,
            [(64, 32, 32), (128, 16, 16), (256, 8, 8)],
        ),
        ({"name": "wrn", "depth": 28, "widening": 10}, CIFAR, [(160, 32, 32), (320, 16, 16), (640, 8, 8)]),
        ({"name": "cifar_resnext"}, CIFAR, [(256, 32, 32), (512, 16, 16), (1024, 8, 8)]),
        ({"name": "resnet", "depth": 18}, IMAGENET, [(64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)]),
        (
            {"name": "resnet", "depth": 101},
            (3, 225, 97),
            [(256, 57, 25), (512, 29, 13), (1024, 15, 7), (2048, 8, 4)],
        ),
        (
            {"name": "resnet", "depth": 34, "stem": "cifar"},
            (1, 28, 28),
            [(64, 28, 28), (128, 14, 14), (256, 7, 7), (512, 4, 4)],
        ),
        (
            {"name": "resnext", "depth": 152, "cardinality": 64, "se_reduction": 16},
            (3, 64, 64),
            [(256, 16, 16), (512, 8, 8), (1024, 4, 4), (2048, 2, 2)],
        ),
        ({"name": "resnet", "depth": 152}, (1, 8, 8), [(256, 2, 2), (512, 1, 1), (1024, 1, 1), (2048, 1, 1)]),
    ],
)
def test_residual_stages_have_the_sizes_of_the_papers_table(
    options: dict[str, Any], shape: Map, expected: list[Map]
) -> None:
    assert maps_after("layer1 layer2 layer3 layer4", options, shape)[: len(expected)] == expected


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_vggs_stages_have_the_sizes_of_the_papers_table(depth: int) -> None:
    options = {"name": "vgg", "depth": depth}
    assert maps_after("MaxPool2d", options, IMAGENET) == VGG_IMAGENET
    small = maps_after("MaxPool2d", {**options, "layout": "cifar"}, CIFAR)
    assert small == [(channels, height // 7, width // 7) for channels, height, width in VGG_IMAGENET]


def test_a_map_of_one_pixel_is_not_pooled() -> None:
    options = {"name": "vgg", "depth": 11, "layout": "cifar"}
    assert maps_after("MaxPool2d", options, (1, 8, 8)) == [(64, 4, 4), (128, 2, 2), (256, 1, 1)]
    assert maps_after("features", options, (1, 8, 8)) == [(512, 1, 1)]
    assert maps_after("features", {"name": "alexnet", "layout": "cifar"}, (1, 8, 8)) == [(256, 1, 1)]


def test_alexnets_maps_have_the_sizes_of_the_papers_figure() -> None:
    seen = maps_after("Conv2d MaxPool2d", {"name": "alexnet"}, IMAGENET)
    large = [(64, 55), (64, 27), (192, 27), (192, 13), (384, 13), (256, 13), (256, 13), (256, 6)]
    assert seen == [(channels, side, side) for channels, side in large]
    seen = maps_after("Conv2d MaxPool2d", {"name": "alexnet", "layout": "cifar"}, CIFAR)
    small = [(64, 8), (64, 4), (192, 4), (192, 2), (384, 2), (256, 2), (256, 2), (256, 1)]
    assert seen == [(channels, side, side) for channels, side in small]


def test_an_image_smaller_than_a_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 11 pixels a side after padding, but got 10x12"):
        build(config("alexnet"), classes=10, shape=(1, 6, 8))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("resnet", {"depth": depth}) for depth in (18, 34, 50, 101, 152)),
        *(("resnext", {"depth": depth}) for depth in (50, 101, 152)),
        *(("vgg", {"depth": depth}) for depth in (11, 13, 16, 19)),
        ("cifar_resnet", {"depth": 20}),
        ("cifar_resnet", {"depth": 29, "block": "bottleneck"}),
        ("preact_resnet", {"depth": 20}),
        ("preact_resnet", {"depth": 29, "block": "bottleneck"}),
        ("cifar_resnext", {"depth": 29}),
    ],
)
def test_weighted_layers_add_up_to_the_depth(name: str, options: dict[str, Any]) -> None:
    assert weighted_layers(name, options) == options["depth"]


def test_the_depth_of_a_wrn_is_its_number_of_convolutions() -> None:
    with torch.device("meta"):
        model = build(config("wrn", depth=28, widening=10), classes=10, shape=CIFAR)
    assert sum(isinstance(module, nn.Conv2d) for module in model.modules()) == 28


def weighted_layers(name: str, options: dict[str, Any]) -> int:
    """Convolutions and linear layers, shortcuts left out."""
    with torch.device("meta"):
        model = build(config(name, **options), classes=10, shape=CIFAR)
    return sum(
        isinstance(module, nn.Conv2d | nn.Linear) and "downsample" not in path for path, module in model.named_modules()
    )
