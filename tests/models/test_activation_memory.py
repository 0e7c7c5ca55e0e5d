"""What autograd keeps, counted."""

import gc
import weakref

import pytest
import torch
from torch import nn

from tests.models.configs import NORMS, config
from wsnet.models import activation_bytes, multiply_accumulates, saved_bytes
from wsnet.models.complexity import counting_device


def test_a_linear_net_keeps_its_inputs_and_the_softmax() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 10))
    # The images (12 values), the ReLU's output (5, for its own gradient and the next layer's), the softmax (10): of
    # float32; the label of int64. The loss keeps one number for the batch: its total weight.
    assert saved_bytes(net, torch.randn(3, 3, 2, 2)) == 3 * (4 * (12 + 5 + 10) + 8) + 4


def test_nothing_is_kept_without_gradients() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 10))
    with torch.no_grad():
        assert saved_bytes(net, torch.randn(3, 3, 2, 2)) == 0


def test_nothing_of_a_model_stays_after_its_count() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 10))
    weight = weakref.ref(net[1].weight)
    saved_bytes(net, torch.randn(3, 3, 2, 2))
    del net
    gc.collect()
    assert weight() is None


def test_a_count_neither_waits_for_threads_nor_changes_how_the_process_computes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def settings() -> tuple[int, bool]:
        return torch.get_num_threads(), bool(torch.backends.mkldnn.enabled)

    seen, forward, before = [], nn.ReLU.forward, settings()

    def noting(relu: nn.ReLU, x: torch.Tensor) -> torch.Tensor:
        seen.append(settings())
        return forward(relu, x)

    monkeypatch.setattr(nn.ReLU, "forward", noting)
    activation_bytes(config("cifar_resnet", depth=8, width=4), 10, (3, 8, 8))
    assert set(seen) == {(1, False)} and settings() == before


def test_the_count_without_memory_is_the_count_with_it() -> None:
    from wsnet.models import build

    for name, options in (("cifar_resnet", {"depth": 8}), ("cifar_densenet", {"depth": 16, "growth_rate": 8})):
        model = config(name, **options)
        real = build(model, classes=10, shape=(3, 8, 8)).train()
        grown = [saved_bytes(real, torch.randn(images, 3, 8, 8)) for images in (2, 3)]
        assert activation_bytes(model, 10, (3, 8, 8)) == grown[1] - grown[0]


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_can_be_counted(norm: str) -> None:
    for weight in ("none", "standardized", "normalized"):
        counted = activation_bytes(config("cifar_resnet", norm, depth=8, weight=weight), 10, (3, 8, 8))
        assert counted > 4 * (3 + 3 * 16) * 64  # The image, and the inputs of the three convolutions after the first.


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch", "layer", "evonorm_s0", "online"])
def test_small_models_are_counted_with_values_to_the_same_result(norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, shape = config("cifar_resnet", norm, depth=8, width=8), (3, 8, 8)
    assert counting_device(model, 10, shape) == "cpu" and counting_device(model, 10, (3, 640, 640)) == "meta"
    counted = []
    for device in ("cpu", "meta"):
        monkeypatch.setattr("wsnet.models.complexity.counting_device", lambda *_, device=device: device)
        counted.append((multiply_accumulates(model, 10, shape), activation_bytes(model, 10, shape)))
    assert counted[0] == counted[1]
