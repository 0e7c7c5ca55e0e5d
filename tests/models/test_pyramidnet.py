"""PyramidNets."""

import pytest
import torch
from torch import nn

from tests.models.configs import config
from wsnet.models import build
from wsnet.models.pyramidnet import PyramidShortcut


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "shape", "expected"),
    [
        # 16 + 84 k / 54 after 18, 36 and 54 blocks
        ({"depth": 110, "alpha": 84.0}, (3, 32, 32), [(44, 32, 32), (72, 16, 16), (100, 8, 8)]),
        (
            {"depth": 164, "alpha": 270.0, "block": "bottleneck"},
            (1, 28, 28),
            [(4 * 106, 28, 28), (4 * 196, 14, 14), (4 * 286, 7, 7)],
        ),
        ({"depth": 14, "alpha": 12.0}, (3, 9, 7), [(20, 9, 7), (24, 5, 4), (28, 3, 2)]),
    ],
)
def test_stages_widen_by_alpha_and_halve_the_map(
    options: dict[str, object], shape: tuple[int, int, int], expected: list[tuple[int, int, int]]
) -> None:
    seen = []
    with torch.device("meta"):
        model = build(config("pyramidnet", "layer", **options), classes=10, shape=shape)
        for number in (1, 2, 3):
            stage = model.get_submodule(f"layer{number}")
            stage.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[1:])))
        assert model(torch.empty(2, *shape)).shape == (2, 10)
    assert seen == expected


def test_weighted_layers_add_up_to_the_depth() -> None:
    for depth, block in ((110, "basic"), (164, "bottleneck")):
        with torch.device("meta"):
            model = build(config("pyramidnet", depth=depth, alpha=84.0, block=block), classes=10, shape=(3, 32, 32))
        assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in model.modules()) == depth


def test_the_shortcut_averages_and_adds_black_channels() -> None:
    x = torch.randn(2, 3, 5, 4)
    y = PyramidShortcut(2, 2)(x)
    assert y.shape == (2, 5, 3, 2) and not y[:, 3:].any()
    torch.testing.assert_close(y[:, :3, 0, 0], x[:, :, :2, :2].mean((2, 3)))
    torch.testing.assert_close(y[:, :3, 2, 0], x[:, :, 4, :2].mean(2))  # What hangs over the edge does not count.


def test_a_depth_that_can_not_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"depth must be 9n \+ 2 with bottleneck blocks, but got depth=165; .* 164"):
        config("pyramidnet", depth=165, alpha=270.0, block="bottleneck")
