"""Weight standardization against its plain formula."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from wsnet.config.norm import GroupNormConfig
from wsnet.layers import Layers, StandardizedConv2d, standardize

LAYERS = Layers(GroupNormConfig(name="group", groups=4), "standardized")


def formula(weight: Tensor) -> Tensor:
    """Filter by filter, as the paper's authors wrote it."""
    return torch.stack([(w - w.mean()) / (w.std() + 1e-5) for w in weight])


def weights(*shape: int, dtype: torch.dtype = torch.float64, scale: float = 0.05) -> Tensor:
    return (torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype) + 0.3) * scale


@pytest.mark.parametrize("shape", [(6, 3, 7, 7), (8, 16, 1, 1), (4, 1, 3, 3), (5, 2, 1, 1)])
@pytest.mark.parametrize("scale", [1.0, 0.05, 1e-5])
def test_standardized_filters_follow_the_formula(shape: tuple[int, ...], scale: float) -> None:
    w = weights(*shape, scale=scale)
    torch.testing.assert_close(standardize(w), formula(w), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(standardize(w.float()), formula(w).float())


@pytest.mark.parametrize("scale", [1.0, 1e-5])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gradients_are_those_of_the_formula(memory_format: torch.memory_format, scale: float) -> None:
    w = weights(6, 4, 3, 3, scale=scale).to(memory_format=memory_format).requires_grad_()
    g = torch.randn(6, 4, 3, 3, dtype=torch.float64)
    y = standardize(w)
    assert y.is_contiguous(memory_format=memory_format)
    (ours,), (theirs,) = torch.autograd.grad(y, w, g), torch.autograd.grad(formula(w), w, g)
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8 * theirs.abs().max().item())


def test_a_constant_filter_becomes_zero_and_its_gradient_stays_finite() -> None:
    w = torch.full((2, 3, 3, 3), 0.7, requires_grad=True)
    y = standardize(w)
    y.square().sum().backward()
    assert y.abs().max() < 1e-2
    assert w.grad is not None and w.grad.isfinite().all()


@pytest.mark.parametrize("groups", [1, 4])
def test_a_standardized_convolution_is_a_convolution_with_standardized_filters(groups: int) -> None:
    conv = LAYERS.conv(8, 12, 3, stride=2, groups=groups).double()
    x = torch.randn(2, 8, 9, 9, dtype=torch.float64)
    expected = F.conv2d(x, formula(conv.weight), stride=2, padding=1, groups=groups)
    torch.testing.assert_close(conv(x), expected)
    torch.testing.assert_close(conv.eval()(x), expected)


def test_standardization_adds_no_parameters() -> None:
    assert [name for name, _ in LAYERS.conv(8, 12, 3).named_parameters()] == ["weight"]


def test_group_norm_after_a_standardized_convolution_ignores_the_scale_of_the_weights() -> None:
    conv, norm = LAYERS.conv(8, 12, 3).double(), LAYERS.norm(12, size=(6, 6)).double()
    x = torch.randn(2, 8, 6, 6, dtype=torch.float64)
    expected = F.group_norm(F.conv2d(x, formula(conv.weight), padding=1), 4)
    torch.testing.assert_close(norm(conv(x)), expected)
    conv.weight.data.mul_(10).add_(1)
    torch.testing.assert_close(norm(conv(x)), expected, rtol=1e-3, atol=1e-3)


def test_filters_of_a_single_element_are_refused() -> None:
    with pytest.raises(ValueError, match=r"more than one element .* in_channels=8, groups=8, kernel_size=\(1, 1\)"):
        LAYERS.conv(8, 8, 1, groups=8)


def test_linear_layers_are_never_standardized() -> None:
    assert type(LAYERS.linear(3, 2)) is torch.nn.Linear
    assert type(LAYERS.conv(3, 2, 1)) is StandardizedConv2d
