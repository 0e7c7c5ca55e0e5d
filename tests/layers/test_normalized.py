"""Weight normalization against its plain formula, and its two ways to begin."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsnet.config.architectures import CifarResNetConfig
from wsnet.config.norm import NoNormConfig
from wsnet.layers import Layers, NormalizedConv2d, initialize, initialize_from_data, normalize

NONE = NoNormConfig(name="none")
PLAIN, NORMALIZED = Layers(NONE), Layers(NONE, "normalized")
FROM_DATA = Layers(NONE, "normalized", weight_init="data_dependent")


def formula(v: Tensor, g: Tensor) -> Tensor:
    """Filter by filter."""
    return torch.stack([gain * w / w.square().sum().sqrt() for w, gain in zip(v, g, strict=True)])


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(6, 3, 7, 7), (8, 16, 1, 1), (4, 1, 3, 3), (5, 1, 1, 1)])
def test_filters_and_gradients_are_those_of_the_formula(
    shape: tuple[int, ...], memory_format: torch.memory_format
) -> None:
    v = torch.randn(shape, dtype=torch.float64).to(memory_format=memory_format).requires_grad_()
    g = torch.randn(shape[0], dtype=torch.float64, requires_grad=True)
    w = normalize(v, g)
    assert w.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(w, formula(v, g))
    upstream = torch.randn(shape, dtype=torch.float64)
    ours, theirs = (torch.autograd.grad(y, (v, g), upstream) for y in (w, formula(v, g)))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("groups", [1, 4])
def test_a_normalized_convolution_is_a_convolution_with_normalized_filters(groups: int) -> None:
    conv = NORMALIZED.conv(8, 12, 3, stride=2, groups=groups).double()
    assert [name for name, _ in conv.named_parameters()] == ["weight", "g"]
    nn.init.normal_(conv.g)
    x = torch.randn(2, 8, 9, 9, dtype=torch.float64)
    expected = F.conv2d(x, formula(conv.weight, conv.g), stride=2, padding=1, groups=groups)
    torch.testing.assert_close(conv(x), expected)
    torch.testing.assert_close(conv.eval()(x), expected)


def test_the_size_of_the_directions_does_not_matter() -> None:
    conv, x = NORMALIZED.conv(3, 4, 3).double(), torch.randn(2, 3, 5, 5, dtype=torch.float64)
    expected = conv(x)
    conv.weight.data.mul_(7)
    torch.testing.assert_close(conv(x), expected)


def test_it_begins_as_the_plain_network_of_the_seed() -> None:
    networks = [nn.Sequential(layers.conv(3, 8, 3), layers.conv(8, 6, 3, groups=2)) for layers in (PLAIN, NORMALIZED)]
    for network in networks:
        initialize(network, 3)
    plain, normalized = (network.state_dict() for network in networks)
    assert all(torch.equal(plain[name], normalized[name]) for name in plain)
    x = torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(networks[0](x), networks[1](x))


def test_the_classifier_is_never_normalized() -> None:
    assert type(NORMALIZED.linear(3, 2)) is nn.Linear
    assert type(NORMALIZED.conv(3, 2, 1)) is NormalizedConv2d


def test_data_dependent_initialization_standardizes_every_convolution() -> None:
    model = nn.Sequential(FROM_DATA.conv(3, 8, 3), nn.ReLU(), FROM_DATA.conv(8, 6, 3, groups=2)).double()
    initialize(model, 0)
    directions = model[2].weight.detach().clone()
    x = torch.randn(16, 3, 7, 7, dtype=torch.float64) * 5 + 3
    initialize_from_data(model, x)
    assert torch.equal(model[2].weight, directions)
    for last in (1, 3):
        y = model[:last](x)
        torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros_like(y[0, :, 0, 0]), rtol=0, atol=1e-12)
        torch.testing.assert_close(y.var((0, 2, 3), correction=0), torch.ones_like(y[0, :, 0, 0]))


def test_data_dependent_initialization_leaves_a_branch_at_zero() -> None:
    layers = Layers(NONE, "normalized", weight_init="data_dependent", residual_init="zero")
    conv = layers.conv(3, 8, 3)
    layers.end_branch(conv, layers.norm(8, size=(5, 5)))
    initialize(conv, 0)
    initialize_from_data(conv, torch.randn(4, 3, 5, 5))
    assert not conv.g.any() and conv.bias is not None and not conv.bias.any() and conv.weight.any()


@pytest.mark.parametrize("options", [{"weight": "none"}, {"weight": "standardized"}, {"norm": {"name": "batch"}}])
def test_data_dependent_initialization_without_effect_is_an_error(options: dict[str, object]) -> None:
    data = {"name": "cifar_resnet", "depth": 8, "norm": {"name": "none"}, "weight": "normalized"}
    CifarResNetConfig.model_validate({**data, "weight_init": "data_dependent"})
    with pytest.raises(ValueError, match="'data_dependent' needs weight 'normalized' and norm 'none', but got"):
        CifarResNetConfig.model_validate({**data, "weight_init": "data_dependent", **options})
