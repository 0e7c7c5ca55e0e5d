"""Every architecture with every norm and every kind of weight."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.models.configs import NORMS, config, network
from tests.models.small import ALL, TRIPLES
from wsnet.layers import Layers, initialize
from wsnet.models import build
from wsnet.models.blocks import ZeroPadShortcut


@pytest.mark.parametrize(
    ("architecture", "norm", "weight"),
    [pytest.param(*triple, marks=[pytest.mark.slow] if number % 6 else []) for number, triple in enumerate(TRIPLES)],
)
def test_gradients_reach_every_parameter(architecture: str, norm: str, weight: str) -> None:
    options, shape = ALL[architecture]
    model = network(config(**options, norm=norm, weight=weight), classes=10, shape=shape)
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    if (norm, weight) == ("none", "standardized"):
        # A standardized filter's gain is the root of its size, so without a norm fifty layers overflow float32.
        model, x = model.double(), x.double()
    logits = model(x.to(memory_format=torch.channels_last))
    assert logits.shape == (2, 10)
    assert logits.isfinite().all()
    F.cross_entropy(logits / logits.detach().abs().max(), torch.tensor([3, 7])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.any() or may_saturate(name, norm, weight) or may_be_at_rest(name, norm), name


def may_saturate(name: str, norm: str, weight: str) -> bool:
    """Standardized filters have a large gain: a sigmoid saturates where no norm comes before it.

    That is squeeze-and-excitation's in a net without a norm, and EvoNorm's own, whose sums have no norm.
    """
    sigmoid = {"none": ".se.", "evonorm_s0": ".v"}.get(norm)
    return weight == "standardized" and sigmoid is not None and sigmoid in f"{name}."


def may_be_at_rest(name: str, norm: str) -> bool:
    """Where a whole window of DenseNet's max-pooling is at the threshold of the TLU before it, the norm after it keeps
    that zero, on which the next TLU has no gradient, as the ReLU has none."""
    return norm.startswith("filter_response") and name == "features.relu0.tau"


def test_the_zero_padded_shortcut_subsamples_and_adds_black_channels() -> None:
    x = torch.randn(2, 3, 5, 4)
    y = ZeroPadShortcut(3, 8, 2)(x)
    assert torch.equal(y[:, :3], x[:, :, ::2, ::2])
    assert y.shape == (2, 8, 3, 2) and not y[:, 3:].any()


def test_every_convolution_is_standardized() -> None:
    for name, depth in [("cifar_resnet", 8), ("resnet", 50), ("resnext", 50)]:
        with torch.device("meta"):
            model = build(config(name, depth=depth, weight="standardized"), classes=10, shape=(3, 32, 32))
        convolutions = {type(module).__name__ for module in model.modules() if isinstance(module, nn.Conv2d)}
        assert convolutions == {"StandardizedConv2d"}


def test_a_norm_that_does_not_fit_the_architecture_is_refused_with_its_reason() -> None:
    with pytest.raises(ValueError, match="got groups=8 with layers of 12, 24 and 48 channels; possible: 12, 6, 4,"):
        config("cifar_resnet", "group", depth=8, width=12)
    with pytest.raises(ValueError, match=r"instance normalization needs more than one element .* map of 1x1"):
        build(config("resnet", "instance", depth=18, stem="cifar"), classes=10, shape=(1, 8, 8))


@pytest.mark.parametrize("weight", ["none", "standardized", "normalized"])
@pytest.mark.parametrize("norm", NORMS)
def test_mixed_precision_reaches_every_parameter(norm: str, weight: str) -> None:
    model = network(config("cifar_resnet", norm, depth=8, weight=weight), classes=10, shape=(3, 8, 8))
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(torch.randn(4, 3, 8, 8).to(memory_format=torch.channels_last))
    logits.float().square().sum().backward()
    assert all(p.dtype == torch.float32 and p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.slow
def test_a_compiled_model_is_one_graph_and_computes_the_same() -> None:
    model = network(config("cifar_resnet", depth=8, weight="standardized"), classes=10, shape=(3, 8, 8))
    assert_compiles(model, torch.randn(4, 3, 8, 8))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("norm", "weight"),
    [
        ("group", "standardized"),
        ("layer", "standardized"),
        ("sync_batch", "none"),
        ("ghost_batch", "none"),
        ("batch_renorm", "none"),
        ("filter_response-eps", "none"),
        ("evonorm_s0", "none"),
        ("none", "normalized"),
    ],
)
def test_compiled_layers_are_one_graph_and_compute_the_same(norm: str, weight: str) -> None:
    made = config("cifar_resnet", norm, depth=8, weight=weight)
    layers = Layers(made.norm, made.weight)
    # Two convolutions, so that gradients go through the norm. Each kernel takes the C++ compiler two seconds.
    net = nn.Sequential(
        layers.conv(8, 16, 3, stride=2),
        layers.norm(16, size=(4, 4)),
        layers.activation(16),
        layers.conv(16, 8, 1),
    )
    initialize(net, 0)
    assert_compiles(net, torch.randn(4, 8, 8, 8))


def assert_compiles(model: nn.Module, x: torch.Tensor) -> None:
    """A training step compiles to one graph, and gives what it gives uncompiled."""
    torch.compiler.reset()
    model.to(memory_format=torch.channels_last)
    x = x.to(memory_format=torch.channels_last)
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def results(function: Any) -> list[torch.Tensor]:
        model.load_state_dict(state)
        model.zero_grad()
        y = function(x)
        y.square().sum().backward()
        return [y.detach(), *(p.grad for p in model.parameters() if p.grad is not None), *model.buffers()]

    eager = [value.clone() for value in results(model)]
    compiled = results(torch.compile(model, fullgraph=True))
    assert len(eager) == len(compiled) == 1 + len(list(model.parameters())) + len(list(model.buffers()))
    for a, b in zip(eager, compiled, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3 * a.abs().max().item())
