"""Memory formats and compilation: what training's `execution` options do to a model."""

import pytest
import torch

from tests.models.configs import config, network
from tests.models.small import ALL
from wsnet.layers import Layers, initialize
from wsnet.models.densenet import DenseNet


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ALL)
def test_channels_last_goes_through_and_gives_the_same(architecture: str) -> None:
    options, shape = ALL[architecture]
    model = network(config(**options), classes=10, shape=shape).eval()
    x = torch.randn(2, *shape)
    formats = set()
    with torch.no_grad():
        plain = model(x)
        model = model.to(memory_format=torch.channels_last)
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d) and module.out_channels > 1:
                module.register_forward_hook(
                    lambda module, inputs, y: formats.add(y.is_contiguous(memory_format=torch.channels_last))
                )
        torch.testing.assert_close(model(x.to(memory_format=torch.channels_last)), plain, rtol=1e-3, atol=1e-4)
    assert formats == {True}


def shallow_densenet(shape: tuple[int, int, int]) -> DenseNet:
    """DenseNet-121 with two layers in each block: to trace all of them takes 10 seconds and shows nothing else."""
    densenet = DenseNet(
        Layers(config("densenet", depth=121).norm),
        blocks=(2, 2, 2, 2),
        growth_rate=32,
        channels=64,
        imagenet_stem=True,
        bottleneck=True,
        compression=0.5,
        dropout=0.0,
        classes=10,
        shape=shape,
    )
    initialize(densenet, 0)
    return densenet


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ALL)
def test_a_model_is_one_graph(architecture: str) -> None:
    options, shape = ALL[architecture]
    if options.get("depth") == 50:
        pytest.skip("the blocks are those of the small nets")
    torch.compiler.reset()
    model = (
        shallow_densenet(shape)
        if options["name"] == "densenet"
        else network(config(**options), classes=10, shape=shape)
    )
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    x = torch.randn(2, *shape)
    torch.testing.assert_close(compiled(x), model(x), rtol=1e-3, atol=1e-4)
    torch.compiler.reset()
