"""Every architecture with every norm and every kind of weight."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.models.configs import NORMS, config, network
from wsnet.layers import Layers, initialize
from wsnet.models import build
from wsnet.models.blocks import BasicBlock, ZeroPadShortcut

SMALL: dict[str, tuple[dict[str, Any], tuple[int, int, int]]] = {
    "cifar_resnet-A": ({"name": "cifar_resnet", "depth": 8, "shortcut": "A"}, (1, 8, 8)),
    "cifar_resnet-B": ({"name": "cifar_resnet", "depth": 14, "width": 8}, (3, 9, 7)),
    "resnet-18": ({"name": "resnet", "depth": 18, "stem": "cifar"}, (1, 12, 12)),
    "resnet-50": ({"name": "resnet", "depth": 50, "stem": "imagenet"}, (3, 33, 33)),
    "resnext-50": ({"name": "resnext", "depth": 50, "cardinality": 8, "group_width": 4, "stem": "cifar"}, (3, 9, 9)),
}


@pytest.mark.parametrize("weight", ["none", "standardized", "normalized"])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("architecture", SMALL)
def test_gradients_reach_every_parameter(architecture: str, norm: str, weight: str) -> None:
    options, shape = SMALL[architecture]
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
        # Standardized filters have a large gain, and EvoNorm's sums have no norm: there its sigmoid saturates.
        assert parameter.grad.any() or (norm, weight, name[-2:]) == ("evonorm_s0", "standardized", ".v"), name


@pytest.mark.parametrize(
    ("options", "shape", "expected"),
    [
        ({"name": "cifar_resnet", "depth": 20}, (3, 32, 32), [(16, 32, 32), (32, 16, 16), (64, 8, 8)]),
        ({"name": "cifar_resnet", "depth": 20, "shortcut": "A"}, (1, 7, 5), [(16, 7, 5), (32, 4, 3), (64, 2, 2)]),
        (
            {"name": "resnet", "depth": 18},
            (3, 224, 224),
            [(64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)],
        ),
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
            {"name": "resnext", "depth": 101, "group_width": 8},
            (3, 64, 64),
            [(256, 16, 16), (512, 8, 8), (1024, 4, 4), (2048, 2, 2)],
        ),
        ({"name": "resnet", "depth": 152}, (1, 8, 8), [(256, 2, 2), (512, 1, 1), (1024, 1, 1), (2048, 1, 1)]),
    ],
)
def test_stages_have_the_sizes_of_the_papers_table(
    options: dict[str, Any], shape: tuple[int, int, int], expected: list[tuple[int, int, int]]
) -> None:
    seen = []
    with torch.device("meta"):
        # A layer norm per element fails where the model lost track of the map's size.
        model = build(config(**options, norm="layer"), classes=10, shape=shape)
        for number in range(len(expected)):
            stage = model.get_submodule(f"layer{number + 1}")
            stage.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[1:])))
        assert model(torch.empty(2, *shape)).shape == (2, 10)
    assert seen == expected


def test_weighted_layers_add_up_to_the_depth() -> None:
    for name, depth in [("cifar_resnet", 20), ("resnet", 18), ("resnet", 34), ("resnet", 152), ("resnext", 101)]:
        with torch.device("meta"):
            model = build(config(name, depth=depth), classes=10, shape=(3, 32, 32))
        weighted = [
            path
            for path, module in model.named_modules()
            if isinstance(module, nn.Conv2d | nn.Linear) and "downsample" not in path
        ]
        assert len(weighted) == depth


@pytest.mark.parametrize("model", ["resnet18", "resnet50", "resnext50_32x4d"])
def test_torchvisions_weights_give_torchvisions_outputs(model: str) -> None:
    torchvision = pytest.importorskip("torchvision")
    theirs = getattr(torchvision.models, model)(num_classes=20).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(value, 0.5, 1.0)
    name, depth = ("resnext", 50) if "resnext" in model else ("resnet", int(model.removeprefix("resnet")))
    ours = build(config(name, depth=depth), classes=20, shape=(3, 65, 64)).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 65, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


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
    with pytest.raises(ValueError, match="groups must divide the channels, but got groups=8, channels=12"):
        build(config("cifar_resnet", "group", depth=8, width=12), classes=10, shape=(3, 32, 32))
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
@pytest.mark.parametrize("norm", ["batch", "group", "layer"])
def test_a_compiled_model_is_one_graph_and_computes_the_same(norm: str) -> None:
    model = network(config("cifar_resnet", norm, depth=8, weight="standardized"), classes=10, shape=(3, 8, 8))
    assert_compiles(model, torch.randn(4, 3, 8, 8))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("norm", "weight"),
    [
        *(
            (norm, "none")
            for norm in ("sync_batch", "ghost_batch", "batch_renorm", "filter_response-eps", "evonorm_s0")
        ),
        ("none", "normalized"),
    ],
)
def test_a_compiled_block_is_one_graph_and_computes_the_same(norm: str, weight: str) -> None:
    layers = Layers(config("cifar_resnet", norm, depth=8).norm, "normalized" if weight == "normalized" else "none")
    block = BasicBlock(layers, 8, 16, 16, size=(8, 8), stride=2)
    initialize(block, 0)
    assert_compiles(block, torch.randn(4, 8, 8, 8))


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
