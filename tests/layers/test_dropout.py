"""Random layers: the same numbers wherever and however often a forward is computed."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from wsnet.layers import Dropout, LayerRandomness, ShakeShake, initialize


def net(p: float = 0.3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), Dropout(p), nn.Conv2d(4, 4, 1), Dropout(p))


def test_dropout_drops_a_share_of_p_and_keeps_the_mean() -> None:
    y = Dropout(0.3)(torch.ones(64, 8, 16, 16))
    assert abs((y == 0).float().mean().item() - 0.3) < 0.01
    assert torch.allclose(y[y != 0], torch.tensor(1 / 0.7))


def test_elements_images_and_steps_are_dropped_independently() -> None:
    layer, ones = Dropout(0.5), torch.ones(256, 4, 8, 8)
    randomness = LayerRandomness(layer, seed=0)
    drawn = []
    for step in range(4):
        randomness.set_step(step)
        drawn.append((layer(ones) > 0).double() * 2 - 1)
    x = torch.stack(drawn)
    n = x.numel()
    # Sums of products of independent signs are of the size of the root of their number, here at most 5 of it.
    moved = [x.roll(1, dim) for dim in range(5)]
    for other in moved:
        assert (x * other).sum().abs() < 5 * n**0.5
    for rows in (1, 7, 128):  # Four corners of a rectangle: they would cancel if bits were only added up.
        for columns in (1, 2, 3):
            corners = x * x.roll(rows, 1) * x.roll(columns, 4) * x.roll((rows, columns), (1, 4))
            assert corners.sum().abs() < 5 * n**0.5
    assert (x.mean((0, 1)).abs() < 5 / 1024**0.5).all() and (x.mean((0, 2, 3, 4)).abs() < 5 / 1024**0.5).all()


def test_evaluation_drops_nothing() -> None:
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(Dropout(0.5).eval()(x), x)


def test_gradients_pass_where_values_do() -> None:
    x = torch.ones(4, 5, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_step_drops_the_same_in_every_process_and_another_step_something_else() -> None:
    model, x = net(), torch.randn(4, 3, 6, 6)
    randomness = LayerRandomness(model, seed=3)
    seen = {}
    for step in (0, 1, 7, 1):
        randomness.set_step(step)
        y = model(x)
        assert torch.equal(seen.setdefault(step, y), y)
    assert not torch.equal(seen[0], seen[1])
    again = copy.deepcopy(model)
    LayerRandomness(again, seed=3).set_step(7)
    assert torch.equal(again(x), seen[7])
    LayerRandomness(again, seed=4).set_step(7)
    assert not torch.equal(again(x), seen[7])


def test_layers_and_images_drop_different_elements() -> None:
    layers = nn.Sequential(Dropout(0.5), Dropout(0.5))
    LayerRandomness(layers, seed=0).set_step(0)
    ones = torch.ones(2, 1, 16, 16)
    first, second = layers[0](ones), layers[1](ones)
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_micro_batches_and_workers_drop_what_the_whole_batch_drops() -> None:
    model, x = net(), torch.randn(5, 3, 6, 6)
    randomness = LayerRandomness(model, seed=3)
    randomness.set_step(2)
    whole = model(x)
    parts = []
    for first, last in ((0, 2), (2, 5)):
        randomness.set_step(2, first_image=first)
        parts.append(model(x[first:last]))
    torch.testing.assert_close(torch.cat(parts), whole)
    assert torch.equal(torch.cat(parts) == 0, whole == 0)


def test_the_memory_format_stays_and_drops_the_same() -> None:
    layer, x = Dropout(0.5), torch.randn(2, 8, 6, 6)
    LayerRandomness(layer, seed=0).set_step(0)
    y = layer(x.to(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y, layer(x))


def test_a_recomputed_forward_drops_the_same() -> None:
    model, x = net(), torch.randn(4, 3, 6, 6)
    LayerRandomness(model, seed=3).set_step(2)
    model(x).square().sum().backward()
    plain = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    checkpoint(model, x, use_reentrant=False).square().sum().backward()
    assert all(torch.equal(a, p.grad) for a, p in zip(plain, model.parameters(), strict=True))  # type: ignore[arg-type]


def test_an_initialized_model_draws_from_its_seed_before_the_first_step() -> None:
    model, x = net(), torch.randn(4, 3, 6, 6)
    initialize(model, 5)
    assert torch.equal(model(x), model(x))
    model[0].reset_parameters()
    initialize(model, 6)
    assert model[1].has_step


def test_without_a_seed_every_forward_draws_anew_from_torchs_generator() -> None:
    layer, ones = Dropout(0.5), torch.ones(4, 100)
    torch.manual_seed(0)
    first = layer(ones)
    assert not torch.equal(first, layer(ones))
    torch.manual_seed(0)
    assert torch.equal(first, layer(ones))


def test_nothing_of_it_is_in_the_state() -> None:
    assert not Dropout(0.5).state_dict()


@pytest.mark.slow
def test_compiled_layers_draw_the_same_and_a_new_step_compiles_nothing() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dropout, self.mix = Dropout(0.3), ShakeShake()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mixed: torch.Tensor = self.mix(self.dropout(x), x)
            return mixed

    model, x = Both(), torch.randn(4, 8, 6, 6, requires_grad=True)
    randomness, compiled = LayerRandomness(model, 0), torch.compile(model, fullgraph=True)
    torch.compiler.reset()
    for step in range(3):
        randomness.set_step(step, first_image=2 * step)
        with torch._dynamo.config.patch(error_on_recompile=step > 0):
            seen = compiled(x)
        expected = model(x)
        torch.testing.assert_close(seen, expected)
        ours, theirs = (torch.autograd.grad(y.sum(), x)[0] for y in (seen, expected))
        torch.testing.assert_close(ours, theirs)
