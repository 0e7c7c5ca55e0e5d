"""Multiply-accumulates in both conventions; parameters are in test_architectures.py."""

import pytest

from tests.models.architectures import Row, config_of, rows
from tests.models.configs import config
from wsnet.models import ModelError, multiply_accumulates, thop_operations

PUBLISHED = [row for row in rows() if row.thop is not None]


def test_there_are_36_published_counts() -> None:
    assert len(PUBLISHED) == 36


@pytest.mark.slow
@pytest.mark.parametrize("row", PUBLISHED, ids=str)
def test_published_counts_in_thops_convention(row: Row) -> None:
    assert thop_operations(config_of(row), row.classes, row.shape) == row.thop


def test_the_conventions_differ_by_norms_the_pool_and_the_classifier() -> None:
    model, shape = config("resnet", depth=18, stem="cifar"), (3, 32, 32)
    normalized = (5 * 64 * 32 * 32) + (5 * 128 * 16 * 16) + (5 * 256 * 8 * 8) + (5 * 512 * 4 * 4)
    rest = 17 * 512 + (2 * 512 - 1) * 10 - 512 * 10
    assert thop_operations(model, 10, shape) - multiply_accumulates(model, 10, shape) == 2 * normalized + rest


def test_pools_of_densenet_cost_thop_their_kernels() -> None:
    model, shape = config("cifar_densenet", "none", depth=10, growth_rate=4), (3, 8, 8)
    # Two transitions to 6 and 5 channels, of 4 + 1 for each pixel; 9 channels of 2x2 pixels averaged; the classifier.
    rest = 5 * (6 * 4 * 4 + 5 * 2 * 2) + 5 * 9 + (2 * 9 - 1) * 10 - 9 * 10
    assert thop_operations(model, 10, shape) - multiply_accumulates(model, 10, shape) == rest


def test_networks_of_torchvision_can_be_counted() -> None:
    # torchvision's published GFLOPS: 0.819 and 5.713.
    for architecture, size, published in (("squeezenet1_0", 224, 0.819), ("inception_v3", 299, 5.713)):
        model = config("torchvision", architecture=architecture)
        assert multiply_accumulates(model, 1000, (3, size, size)) / 1e9 == pytest.approx(published, rel=2e-3)


def test_images_too_small_are_refused_with_the_reason() -> None:
    with pytest.raises(ModelError, match="needs images of at least 63x63 pixels, but got 8x8"):
        multiply_accumulates(config("torchvision", architecture="alexnet"), 10, (3, 8, 8))
