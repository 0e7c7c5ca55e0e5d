"""Shake-shake: what is drawn, and for whom."""

import copy
from typing import Any

import pytest
import torch

from tests.models.configs import config, network
from wsnet.layers import LayerRandomness, ShakeShake
from wsnet.models import build
from wsnet.models.shake_shake import ShiftedShortcut


def mixed(mix: ShakeShake, images: int = 64, step: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Forward share of the first branch, and the gradients of both, for each image."""
    LayerRandomness(mix, seed=1).set_step(step)
    a = torch.ones(images, 1, 2, 2, requires_grad=True)
    b = torch.zeros(images, 1, 2, 2, requires_grad=True)
    y = mix(a, b)
    y.sum().backward()
    assert a.grad is not None and b.grad is not None
    for tensor in (y, a.grad, b.grad):
        assert (tensor == tensor[:, :, :1, :1]).all()
    return y[:, 0, 0, 0].detach(), a.grad[:, 0, 0, 0], b.grad[:, 0, 0, 0]


def test_forward_and_backward_shares_are_drawn_apart_for_each_image() -> None:
    alpha, beta, rest = mixed(ShakeShake(), images=4096)
    assert torch.allclose(beta + rest, torch.ones(()))
    for share in (alpha, beta):
        assert len(share.unique()) > 4000 and share.min() >= 0 and share.max() < 1
        assert abs(share.mean() - 1 / 2) < 0.02 and abs(share.var() - 1 / 12) < 0.005
    assert abs(torch.corrcoef(torch.stack([alpha, beta]))[0, 1]) < 0.05


def test_a_batch_has_one_share_at_level_batch_and_another_in_the_next_step() -> None:
    mix = ShakeShake(level="batch")
    shares = [mixed(mix, step=step) for step in range(3)]
    for alpha, beta, _ in shares:
        assert len(alpha.unique()) == len(beta.unique()) == 1 and alpha[0] != beta[0]
    assert len({alpha[0].item() for alpha, _, _ in shares}) == 3


def test_keep_repeats_the_forward_share_and_even_is_one_half() -> None:
    alpha, beta, _ = mixed(ShakeShake(backward_mode="keep"))
    torch.testing.assert_close(alpha, beta)
    alpha, beta, _ = mixed(ShakeShake(forward_mode="even"))
    assert (alpha == 0.5).all() and len(beta.unique()) == 64
    alpha, beta, _ = mixed(ShakeShake(backward_mode="even"))
    assert (beta == 0.5).all() and len(alpha.unique()) == 64


def test_evaluation_takes_the_expectation() -> None:
    a, b = torch.randn(2, 3, 4, 4, 4)
    assert torch.equal(ShakeShake().eval()(a, b), (a + b) / 2)


def test_a_network_repeats_a_step_and_differs_between_steps_and_seeds() -> None:
    model = network(config("shake_shake", depth=8, width=8), classes=10, shape=(3, 8, 8))
    x = torch.randn(4, 3, 8, 8)
    seen = {}
    for seed, step in ((0, 0), (0, 1), (1, 0)):
        LayerRandomness(model, seed).set_step(step)
        seen[seed, step] = model(x)
    assert not torch.equal(seen[0, 0], seen[0, 1]) and not torch.equal(seen[0, 0], seen[1, 0])
    again = copy.deepcopy(model)
    LayerRandomness(again, 0).set_step(1)
    assert torch.equal(again(x), seen[0, 1])


def test_an_image_is_mixed_alike_in_the_batch_and_in_a_micro_batch() -> None:
    model = network(config("shake_shake", "group", depth=8, width=8), classes=10, shape=(3, 8, 8))
    x, randomness = torch.randn(5, 3, 8, 8), LayerRandomness(model, 0)
    randomness.set_step(4)
    whole = model(x)
    parts = []
    for first, last in ((0, 2), (2, 5)):
        randomness.set_step(4, first_image=first)
        parts.append(model(x[first:last]))
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 9, 7)])
def test_stages_have_the_sizes_of_the_papers_table(shape: tuple[int, int, int]) -> None:
    seen: list[Any] = []
    with torch.device("meta"):
        model = build(config("shake_shake", "layer"), classes=10, shape=shape)
        for number in (1, 2, 3):
            stage = model.get_submodule(f"layer{number}")
            stage.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[1:])))
        assert model(torch.empty(2, *shape)).shape == (2, 10)
    half = (shape[1] + 1) // 2, (shape[2] + 1) // 2
    assert seen == [(32, *shape[1:]), (64, *half), (128, (half[0] + 1) // 2, (half[1] + 1) // 2)]


def test_the_second_half_of_a_shortcut_sees_the_map_moved_by_a_pixel() -> None:
    from wsnet.layers import Layers

    layers = Layers(config("shake_shake", "none").norm)
    shortcut = ShiftedShortcut(layers, 1, 2, size_out=(2, 2), stride=2)
    for conv in (shortcut.conv1, shortcut.conv2):
        torch.nn.init.ones_(conv.weight)
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert torch.equal(shortcut(x)[0], torch.tensor([[[0.0, 2], [8, 10]], [[0, 0], [0, 5]]]))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"depth": 27}, r"depth must be 6n \+ 2, but got depth=27; near it: 26"),
        ({"forward": "even", "backward": "keep"}, "use that"),
        ({"forward": "even", "backward": "even", "level": "batch"}, "level has no effect"),
    ],
)
def test_options_without_effect_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        config("shake_shake", **options)
