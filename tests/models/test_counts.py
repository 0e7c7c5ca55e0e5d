"""Exact parameter counts and multiply-accumulates of published architectures."""

from typing import Any

import pytest

from tests.models.configs import NORMS, config, network
from wsnet.models import multiply_accumulates, parameter_count

CIFAR, IMAGENET = (3, 32, 32), (3, 224, 224)


@pytest.mark.parametrize(
    ("depth", "cifar10", "cifar100", "cifar10_layer"),
    [
        (20, 272_474, 278_324, 672_314),
        (32, 466_906, 472_756, 1_095_226),
        (44, 661_338, 667_188, 1_518_138),
        (56, 855_770, 861_620, 1_941_050),
        (110, 1_730_714, 1_736_564, 3_844_154),
    ],
)
def test_cifar_resnets_with_projection_shortcuts(depth: int, cifar10: int, cifar100: int, cifar10_layer: int) -> None:
    batch = config("cifar_resnet", depth=depth)
    assert parameter_count(batch, 10, CIFAR) == cifar10
    assert parameter_count(batch, 100, CIFAR) == cifar100
    for norm in ("group", "instance"):
        assert parameter_count(config("cifar_resnet", norm, depth=depth), 10, CIFAR) == cifar10
    assert parameter_count(config("cifar_resnet", "layer", depth=depth), 10, CIFAR) == cifar10_layer


@pytest.mark.parametrize(
    ("depth", "count"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)]
)
def test_cifar_resnets_with_zero_padded_shortcuts(depth: int, count: int) -> None:
    # The projections have 16 * 32 + 32 * 64 weights and their norms 2 * (32 + 64) values: 2752 fewer than option B.
    assert parameter_count(config("cifar_resnet", depth=depth, shortcut="A"), 10, CIFAR) == count


@pytest.mark.parametrize(
    ("options", "classes", "batch", "instance_bare"),
    [
        ({"name": "resnet", "depth": 18}, 10, 11_173_962, 11_164_362),
        ({"name": "resnet", "depth": 34}, 10, 21_282_122, 21_265_098),
        ({"name": "resnet", "depth": 50}, 10, 23_520_842, 23_467_722),
        ({"name": "resnext", "depth": 50}, 10, 22_992_714, 22_924_490),
        ({"name": "resnet", "depth": 18}, 100, 11_220_132, 11_210_532),
        ({"name": "resnet", "depth": 50}, 100, 23_705_252, 23_652_132),
    ],
)
def test_resnets_with_the_cifar_stem(options: dict[str, Any], classes: int, batch: int, instance_bare: int) -> None:
    assert parameter_count(config(**options, stem="cifar"), classes, CIFAR) == batch
    for norm in ("instance-bare", "none"):
        assert parameter_count(config(**options, stem="cifar", norm=norm), classes, CIFAR) == instance_bare


@pytest.mark.parametrize(
    ("options", "batch", "layer"),
    [
        ({"name": "resnet", "depth": 18}, 11_689_512, 16_647_336),
        ({"name": "resnet", "depth": 34}, 21_797_672, 29_256_872),
        ({"name": "resnet", "depth": 50}, 25_557_032, 47_731_880),
        ({"name": "resnet", "depth": 101}, 44_549_160, 76_907_688),
        ({"name": "resnet", "depth": 152}, 60_192_808, 105_149_608),
        ({"name": "resnext", "depth": 50}, 25_028_904, 53_761_704),
        ({"name": "resnext", "depth": 101, "group_width": 8}, 88_791_336, 151_007_400),
    ],
)
def test_networks_for_imagenet(options: dict[str, Any], batch: int, layer: int) -> None:
    assert parameter_count(config(**options), 1000, IMAGENET) == batch
    assert parameter_count(config(**options, weight="standardized", norm="group"), 1000, IMAGENET) == batch
    assert parameter_count(config(**options, norm="layer"), 1000, IMAGENET) == layer


def test_resnext_101_32x4d_with_group_norm_and_standardized_weights() -> None:
    model = config("resnext", "group", depth=101, weight="standardized")
    assert parameter_count(model, 1000, IMAGENET) == 44_177_704


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "shape", "classes", "expected"),
    [
        # torchvision's published GFLOPS: 1.81, 4.09, 4.23
        ({"name": "resnet", "depth": 18}, IMAGENET, 1000, 1_814_073_344),
        ({"name": "resnet", "depth": 50}, IMAGENET, 1000, 4_089_184_256),
        ({"name": "resnext", "depth": 50}, IMAGENET, 1000, 4_230_479_872),
        # thop's 555,436,534 less its rule for pooling and the classifier: -17 * 512 - 1023 * 10 + 512 * 10
        ({"name": "resnet", "depth": 18, "stem": "cifar"}, CIFAR, 10, 555_422_720),
    ],
)
@pytest.mark.parametrize("weight", ["none", "standardized"])
def test_multiply_accumulates(
    options: dict[str, Any], shape: tuple[int, int, int], classes: int, expected: int, weight: str
) -> None:
    assert multiply_accumulates(config(**options, weight=weight), classes, shape) == expected


@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_can_be_counted_without_memory(norm: str) -> None:
    model = config("cifar_resnet", norm, depth=8)
    built = sum(parameter.numel() for parameter in network(model, classes=10, shape=(3, 32, 32)).parameters())
    assert parameter_count(model, 10, (3, 32, 32)) == built
    assert multiply_accumulates(model, 10, (3, 32, 32)) == multiply_accumulates(
        config("cifar_resnet", depth=8), 10, (3, 32, 32)
    )
