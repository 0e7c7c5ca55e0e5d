"""DenseNets: the papers' sizes, torchvision's outputs."""

import pytest
import torch
from torch import nn

from tests.models.configs import config, network
from wsnet.layers import Dropout
from wsnet.models import build, parameter_count


@pytest.mark.slow
@pytest.mark.parametrize("depth", [121, 161])
def test_torchvisions_weights_give_torchvisions_outputs(depth: int) -> None:
    torchvision = pytest.importorskip("torchvision")
    theirs = getattr(torchvision.models, f"densenet{depth}")(num_classes=20).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(value, 0.5, 1.0)
    ours = build(config("densenet", depth=depth), classes=20, shape=(3, 65, 64)).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 65, 64)
    with torch.no_grad():
        expected = theirs(x)
        torch.testing.assert_close(ours(x), expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "shape", "expected"),
    [
        (
            {"name": "cifar_densenet", "depth": 22, "growth_rate": 12},
            (3, 32, 32),
            [(24 + 36, 32, 32), (30 + 36, 16, 16), (33 + 36, 8, 8)],
        ),
        (
            {"name": "cifar_densenet", "depth": 13, "growth_rate": 8, "bottleneck": False, "compression": 1.0},
            (1, 28, 28),
            [(16 + 24, 28, 28), (40 + 24, 14, 14), (64 + 24, 7, 7)],
        ),
        (
            {"name": "densenet", "depth": 121},
            (3, 224, 224),
            [(256, 56, 56), (512, 28, 28), (1024, 14, 14), (1024, 7, 7)],
        ),
        (
            {"name": "densenet", "depth": 161},
            (3, 231, 224),
            [(384, 58, 56), (768, 29, 28), (2112, 14, 14), (2208, 7, 7)],
        ),
    ],
)
def test_blocks_have_the_sizes_of_the_papers_table(
    options: dict[str, object], shape: tuple[int, int, int], expected: list[tuple[int, int, int]]
) -> None:
    seen = []
    with torch.device("meta"):
        # A layer norm per element fails where the model lost track of the map's size.
        model = build(config(**options, norm="layer"), classes=10, shape=shape)  # type: ignore[arg-type]
        for number in range(1, len(expected) + 1):
            block = model.get_submodule(f"features.denseblock{number}")
            block.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[1:])))
        assert model(torch.empty(2, *shape)).shape == (2, 10)
    assert seen == expected


@pytest.mark.slow
def test_weighted_layers_add_up_to_the_depth() -> None:
    for options in (
        {"name": "cifar_densenet", "depth": 40, "bottleneck": False},
        {"name": "cifar_densenet", "depth": 100},
        {"name": "densenet", "depth": 121},
        {"name": "densenet", "depth": 161},
        {"name": "densenet", "depth": 169},
        {"name": "densenet", "depth": 201},
    ):
        with torch.device("meta"):
            model = build(config(**options), classes=10, shape=(3, 32, 32))  # type: ignore[arg-type]
        assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in model.modules()) == options["depth"]


def test_the_papers_counts() -> None:
    # Huang et al. 2017, table 2: 1.0M, 7.0M, 27.2M; 0.8M, 15.3M, 25.6M.
    plain = {"bottleneck": False, "compression": 1.0}
    counts = [
        parameter_count(config("cifar_densenet", depth=depth, growth_rate=k, **options), 10, (3, 32, 32))
        for depth, k, options in [(40, 12, plain), (100, 12, plain), (100, 24, plain), (100, 12, {}), (190, 40, {})]
    ]
    assert [round(count / 1e6, 1) for count in counts] == [1.0, 7.0, 27.2, 0.8, 25.6]


def test_dropout_follows_every_convolution_but_the_first() -> None:
    model = network(config("cifar_densenet", depth=16, dropout=0.2), classes=10, shape=(3, 8, 8))
    convolutions = sum(isinstance(module, nn.Conv2d) for module in model.modules())
    assert sum(isinstance(module, Dropout) for module in model.modules()) == convolutions - 1
    x = torch.randn(2, 3, 8, 8)
    assert not torch.equal(model.train()(x), build_without_dropout(model, x))


def build_without_dropout(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    for module in model.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
    y: torch.Tensor = model(x)
    return y


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"depth": 99}, "depth must be 6n + 4 with bottlenecks, but got depth=99; near it: 100"),
        ({"depth": 41, "bottleneck": False}, "depth must be 3n + 4 without bottlenecks, but got depth=41; near it: 40"),
        ({"depth": 40, "residual_init": "zero"}, "residual_init has no effect in DenseNets"),
    ],
)
def test_what_can_not_be_is_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text.replace("+", r"\+")):
        config("cifar_densenet", **options)  # type: ignore[arg-type]


def test_images_too_small_for_the_transitions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"images must be large enough .* got 8x8 pixels"):
        build(config("densenet", depth=121), classes=10, shape=(3, 8, 8))
