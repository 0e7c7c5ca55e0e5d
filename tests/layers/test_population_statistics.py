"""Recomputed statistics against the moments of all images, layer by layer, written out."""

import pytest
import torch
from torch import Tensor, nn

from wsnet.layers import BatchRenorm2d, Dropout, GhostBatchNorm2d, recompute_statistics, recomputed_statistics
from wsnet.layers.online_norm import OnlineNorm2d

IMAGES = torch.randn(40, 3, 6, 6, generator=torch.Generator().manual_seed(1)) * 2 + 5


def net(norm: nn.Module, second: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU(), Dropout(0.5), nn.Conv2d(4, 4, 3), second)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


NORMS = {
    "batch": lambda: nn.BatchNorm2d(4),
    "ghost": lambda: GhostBatchNorm2d(4, 3),
    "renorm": lambda: BatchRenorm2d(4),
    "online": lambda: OnlineNorm2d(4),
}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("sizes", [[40], [10, 10, 10, 10], [1] * 40, [32, 8]])
def test_the_first_norm_gets_the_moments_of_all_images_however_they_are_cut(name: str, sizes: list[int]) -> None:
    model = net(NORMS[name](), NORMS[name]())
    recompute_statistics(model, IMAGES.split(sizes))
    x = model[0](IMAGES).double()
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    torch.testing.assert_close(model[1].running_mean.double(), mean, rtol=1e-5, atol=1e-5)
    found = model[1].running_std.double() ** 2 - model[1].eps if name == "renorm" else model[1].running_var.double()
    torch.testing.assert_close(found, var, rtol=1e-5, atol=1e-5)


def test_a_later_norm_sees_micro_batches_normalized_by_their_own_moments_and_no_dropout() -> None:
    model = net(nn.BatchNorm2d(4), nn.BatchNorm2d(4))
    recompute_statistics(model, IMAGES.split(10))
    seen = torch.cat([written_out(model, part) for part in IMAGES.split(10)])
    torch.testing.assert_close(model[5].running_mean, seen.mean((0, 2, 3)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model[5].running_var, seen.var((0, 2, 3), correction=0), rtol=1e-4, atol=1e-4)


def written_out(model: nn.Sequential, images: Tensor) -> Tensor:
    """What goes into the second norm."""
    x, norm = model[0](images), model[1]
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    y = (x - mean) / (var + norm.eps).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]
    out: Tensor = model[4](y.relu())
    return out.detach()


@pytest.mark.parametrize("name", NORMS)
def test_lent_statistics_leave_no_trace(name: str) -> None:
    model = net(NORMS[name](), NORMS[name]()).train()
    model[1].eval()
    model(IMAGES)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with recomputed_statistics(model, IMAGES.split(10)):
        assert not torch.equal(model[1].running_mean, before["1.running_mean"])
        assert torch.equal(model[1].weight, before["1.weight"])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training and not model[1].training and model[5].training
    with pytest.raises(KeyError), recomputed_statistics(model, IMAGES.split(10)):
        raise KeyError
    assert torch.equal(model[1].running_mean, before["1.running_mean"])


def test_a_layer_that_is_not_used_keeps_what_it_has() -> None:
    model = net(nn.BatchNorm2d(4), nn.BatchNorm2d(4))
    model.append(nn.Identity())
    model.unused = nn.BatchNorm2d(4)
    recompute_statistics(model, [IMAGES], forward=lambda images: model[:6](images))
    assert torch.equal(model.unused.running_mean, torch.zeros(4))


def test_bfloat16_activations_have_moments_in_float32() -> None:
    model = net(nn.BatchNorm2d(4), nn.BatchNorm2d(4))

    def forward(images: Tensor) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            model(images)

    recompute_statistics(model, IMAGES.split(20), forward)
    x = model[0](IMAGES)
    torch.testing.assert_close(model[1].running_mean, x.mean((0, 2, 3)), rtol=2e-2, atol=2e-2)
    assert model[1].running_var.dtype == torch.float32
