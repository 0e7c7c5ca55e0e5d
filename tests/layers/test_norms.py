"""Every norm against its plain formula in float64."""

import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.layers.formulas import assert_same_with_gradients
from wsnet.config.norm import (
    BatchNormConfig,
    BatchRenormConfig,
    EvoNormS0Config,
    FilterResponseNormConfig,
    GhostBatchNormConfig,
    GroupNormConfig,
    InstanceNormConfig,
    LayerNormConfig,
    NoNormConfig,
    NormConfig,
    SyncBatchNormConfig,
)
from wsnet.layers import Layers

N, C, H, W = 5, 8, 6, 7


def images(dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(N, C, H, W, generator=generator, dtype=dtype) * 3 + 2


def made(config: NormConfig, channels: int = C, size: tuple[int, int] = (H, W)) -> Any:
    """The norm in float64, with a scale and shift that are not one and zero."""
    norm = Layers(config).norm(channels, size=size).double()
    generator = torch.Generator().manual_seed(1)
    for parameter in norm.parameters():
        parameter.data.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
    return norm


def standardized(x: Tensor, dims: tuple[int, ...], eps: float = 1e-5) -> Tensor:
    mean = x.mean(dims, keepdim=True)
    return (x - mean) / ((x - mean).square().mean(dims, keepdim=True) + eps).sqrt()


def per_channel(parameter: Tensor) -> Tensor:
    return parameter[:, None, None]


def test_batch_norm_standardizes_each_channel_over_the_batch() -> None:
    norm, x = made(BatchNormConfig(name="batch")), images()
    expected = standardized(x, (0, 2, 3)) * per_channel(norm.weight) + per_channel(norm.bias)
    torch.testing.assert_close(norm(x), expected)


def test_batch_norm_uses_its_running_statistics_in_evaluation() -> None:
    norm, x = made(BatchNormConfig(name="batch", momentum=0.25, eps=1e-3)), images()
    norm(x)
    mean = 0.25 * x.mean((0, 2, 3))
    var = 0.75 + 0.25 * x.var((0, 2, 3))
    expected = (x - per_channel(mean)) / (per_channel(var) + 1e-3).sqrt()
    expected = expected * per_channel(norm.weight) + per_channel(norm.bias)
    torch.testing.assert_close(norm.eval()(x), expected)


def test_group_norm_standardizes_groups_of_channels() -> None:
    norm, x = made(GroupNormConfig(name="group", groups=4, eps=1e-3)), images()
    expected = standardized(x.view(N, 4, C // 4, H, W), (2, 3, 4), 1e-3).view_as(x)
    torch.testing.assert_close(norm(x), expected * per_channel(norm.weight) + per_channel(norm.bias))


def test_layer_norm_with_a_scale_per_element() -> None:
    norm, x = made(LayerNormConfig(name="layer", eps=1e-3)), images()
    assert norm.weight.shape == norm.bias.shape == (C, H, W)
    torch.testing.assert_close(norm(x), standardized(x, (1, 2, 3), 1e-3) * norm.weight + norm.bias)


def test_layer_norm_with_a_scale_per_channel() -> None:
    norm, x = made(LayerNormConfig(name="layer", affine="channel", eps=1e-3)), images()
    assert norm.weight.shape == norm.bias.shape == (C,)
    expected = standardized(x, (1, 2, 3), 1e-3) * per_channel(norm.weight) + per_channel(norm.bias)
    torch.testing.assert_close(norm(x), expected)


def test_layer_norm_without_affine_has_no_parameters() -> None:
    norm, x = made(LayerNormConfig(name="layer", affine="none")), images()
    assert not list(norm.parameters())
    for memory_format in (torch.contiguous_format, torch.channels_last):
        y = norm(x.to(memory_format=memory_format))
        torch.testing.assert_close(y, standardized(x, (1, 2, 3)))
        assert y.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("affine", ["element", "channel"])
def test_layer_norm_keeps_channels_last_and_its_gradients(affine: str) -> None:
    norm = made(LayerNormConfig.model_validate({"name": "layer", "affine": affine}))
    g = torch.randn_like(images())
    results = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        x = images().to(memory_format=memory_format).requires_grad_()
        y = norm(x)
        assert y.is_contiguous(memory_format=memory_format)
        results.append((y, *torch.autograd.grad(y, (x, norm.weight, norm.bias), g)))
    torch.testing.assert_close(results[0], results[1])


def test_instance_norm_standardizes_each_channel_of_each_image() -> None:
    norm = made(InstanceNormConfig(name="instance", eps=1e-3))

    def formula(x: Tensor) -> Tensor:
        return standardized(x, (2, 3), 1e-3) * per_channel(norm.weight) + per_channel(norm.bias)

    assert_same_with_gradients(norm, formula, images())
    assert_same_with_gradients(norm.eval(), formula, images())


def test_instance_norm_without_affine_has_no_parameters() -> None:
    norm = made(InstanceNormConfig(name="instance", affine=False))
    assert not list(norm.parameters())
    assert_same_with_gradients(norm, lambda x: standardized(x, (2, 3)), images())


def test_no_norm_is_the_identity() -> None:
    x = images()
    assert made(NoNormConfig(name="none"))(x) is x


def test_groups_that_do_not_divide_the_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="groups must divide the channels, but got groups=32, channels=16"):
        made(GroupNormConfig(name="group", groups=32), channels=16)


@pytest.mark.parametrize(
    "config", [InstanceNormConfig(name="instance"), GroupNormConfig(name="group", groups=C)], ids=lambda c: c.name
)
def test_statistics_over_a_single_element_are_refused(config: NormConfig) -> None:
    with pytest.raises(ValueError, match=r"more than one element .* channels=8 and a map of 1x1"):
        made(config, size=(1, 1))


def test_every_public_layer_is_imported_from_the_package() -> None:
    import wsnet.layers

    public = {
        name
        for module in sys.modules.values()
        if module.__name__.startswith("wsnet.layers.")
        for name in getattr(module, "__all__", ())
        if isinstance(kind := getattr(module, name), type) and issubclass(kind, nn.Module)
    }
    bases = {"OnlineNorm", "OnlineState", "ReparametrizedConv2d"}
    assert {"OnlineNorm1d", "OnlineNorm2d", "StandardizedConv2d"} <= public
    assert public - bases <= set(wsnet.layers.__all__)


EVERY: list[NormConfig] = [
    BatchNormConfig(name="batch"),
    SyncBatchNormConfig(name="sync_batch"),
    GhostBatchNormConfig(name="ghost_batch", ghost_size=2),
    BatchRenormConfig(name="batch_renorm"),
    GroupNormConfig(name="group", groups=4),
    LayerNormConfig(name="layer"),
    InstanceNormConfig(name="instance"),
    FilterResponseNormConfig(name="filter_response"),
    EvoNormS0Config(name="evonorm_s0", groups=4),
    NoNormConfig(name="none"),
]


@pytest.mark.parametrize("config", EVERY, ids=lambda c: c.name)
def test_images_of_a_batch_mix_just_where_it_is_said(config: NormConfig) -> None:
    norm, x = made(config), images()
    alone, together = norm(x[:1]), norm(x)[:1]
    assert config.over_batch is not torch.allclose(alone, together)


@pytest.mark.parametrize("config", EVERY, ids=lambda c: c.name)
@pytest.mark.parametrize("shape", [(N, C, H, W), (1, C, H, W), (1, C, 1, 2), (1, C, 3, 1), (N, C, 1, 1)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_shape_and_memory_format_stay(
    config: NormConfig, shape: tuple[int, ...], memory_format: torch.memory_format
) -> None:
    if shape[2:] == (1, 1) and config.name in ("instance", "filter_response", "ghost_batch"):
        return  # Statistics of a single element, which are refused.
    norm = made(config, size=(shape[2], shape[3])).float()
    for training in (True, False):
        x = torch.randn(shape).to(memory_format=memory_format).requires_grad_()
        y = norm.train(training)(x)
        assert y.shape == x.shape and y.isfinite().all()
        assert y.is_contiguous(memory_format=memory_format)
        y.square().sum().backward()
        assert x.grad is not None and x.grad.isfinite().all()


@pytest.mark.parametrize("config", EVERY, ids=lambda c: c.name)
def test_evaluation_changes_nothing_and_does_not_mix(config: NormConfig) -> None:
    norm, x = made(config), images()
    norm(x)
    norm.eval()
    state = {name: value.clone() for name, value in norm.state_dict().items()}
    torch.testing.assert_close(norm(x[:1]), norm(x)[:1])
    assert all(torch.equal(value, norm.state_dict()[name]) for name, value in state.items())


@pytest.mark.parametrize("config", EVERY, ids=lambda c: c.name)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_an_activation_may_overwrite_a_norms_output(config: NormConfig, memory_format: torch.memory_format) -> None:
    if config.name == "none":
        return  # The output is the input.
    norm, x = made(config), images().to(memory_format=memory_format).requires_grad_()
    of_x = [torch.autograd.grad(nn.ReLU(inplace=in_place)(norm(x)).square().sum(), x)[0] for in_place in (False, True)]
    assert torch.equal(*of_x)


@pytest.mark.parametrize("config", EVERY, ids=lambda c: c.name)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_half_precision_takes_its_statistics_in_float32(config: NormConfig, memory_format: torch.memory_format) -> None:
    x = (images(torch.float32) * 0.1 + 5).bfloat16().to(memory_format=memory_format)  # Far from 0.
    g = torch.randn(x.shape, generator=torch.Generator().manual_seed(3)).bfloat16()
    found = []
    for values in (x, x.float()):
        norm, values = made(config).float(), values.detach().requires_grad_()
        y = norm(values)
        assert y.dtype == values.dtype
        gradients = torch.autograd.grad(y, (values, *norm.parameters()), g.to(y.dtype))
        found.append([tensor.float() for tensor in (y, *gradients)])
    for half, full in zip(*found, strict=True):
        torch.testing.assert_close(half, full, rtol=2e-2, atol=2e-2 * full.abs().max().item())


@pytest.mark.parametrize("config", EVERY, ids=lambda c: c.name)
def test_only_what_backward_needs_is_kept(config: NormConfig) -> None:
    """No norm keeps more than its input, where the maps are in channels_last."""
    norm, x = made(config), images().to(memory_format=torch.channels_last).requires_grad_()
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = norm(x * 1)
    assert y.shape == x.shape
    maps = sum(size for size in kept.values() if size >= x.nbytes)
    assert maps <= x.nbytes
