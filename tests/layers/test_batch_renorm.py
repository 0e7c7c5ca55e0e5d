"""Batch renormalization against algorithm 1 of its paper."""

import pytest
import torch
from torch import Tensor, nn

from tests.layers.formulas import C, assert_same_with_gradients, images, made, per_channel
from wsnet.config.norm import BatchRenormConfig

AT_ONCE = {"warmup_steps": 0, "r_max_steps": 0, "d_max_steps": 0}


def algorithm(x: Tensor, norm: nn.Module, r_max: float, d_max: float, eps: float) -> Tensor:
    """What training gives for a batch, from the running statistics before it."""
    mean = x.mean((0, 2, 3), keepdim=True)
    std = ((x - mean).square().mean((0, 2, 3), keepdim=True) + eps).sqrt()
    running_mean, running_std = per_channel(norm.running_mean.clone()), per_channel(norm.running_std.clone())
    r = (std / running_std).detach().clamp(1 / r_max, r_max)
    d = ((mean - running_mean) / running_std).detach().clamp(-d_max, d_max)
    return ((x - mean) / std * r + d) * per_channel(norm.weight) + per_channel(norm.bias)


@pytest.mark.parametrize(("r_max", "d_max"), [(3.0, 5.0), (1.2, 0.1), (1.0, 0.0), (100.0, 100.0)])
def test_values_and_gradients_are_those_of_the_algorithm(r_max: float, d_max: float) -> None:
    norm = made(BatchRenormConfig(name="batch_renorm", momentum=0.2, r_max=r_max, d_max=d_max, eps=1e-3, **AT_ONCE))
    norm(images(seed=1))
    assert_same_with_gradients(norm, lambda x: algorithm(x, norm, r_max, d_max, 1e-3), images())


def test_running_statistics_are_of_mean_and_standard_deviation() -> None:
    norm, x = made(BatchRenormConfig(name="batch_renorm", momentum=0.25, eps=1e-3)), images()
    norm(x)
    torch.testing.assert_close(norm.running_mean, 0.25 * x.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_std, 0.75 + 0.25 * (x.var((0, 2, 3), correction=0) + 1e-3).sqrt())
    expected = (x - per_channel(norm.running_mean)) / per_channel(norm.running_std)
    state = {name: value.clone() for name, value in norm.state_dict().items()}
    found = norm.eval()(x)
    torch.testing.assert_close(found, expected * per_channel(norm.weight) + per_channel(norm.bias))
    torch.testing.assert_close(norm.state_dict(), state, rtol=0, atol=0)


def test_unbounded_training_normalizes_as_evaluation_does() -> None:
    norm = made(BatchRenormConfig(name="batch_renorm", r_max=1e6, d_max=1e6, **AT_ONCE))
    for seed in range(3):
        norm(images(seed=seed))
    expected = norm.eval()(images())
    torch.testing.assert_close(norm.train()(images()), expected)


def test_bounds_rise_after_the_warmup() -> None:
    norm = made(BatchRenormConfig(name="batch_renorm", warmup_steps=2, r_max_steps=10, d_max_steps=4))
    plain = nn.BatchNorm2d(C).double()
    plain.load_state_dict({"weight": norm.weight, "bias": norm.bias}, strict=False)
    bounds = [(1, 0), (1, 0), (1, 0), (1.25, 2.5), (1.5, 5), (1.75, 5), (2, 5)]
    for step, (r_max, d_max) in enumerate(bounds):
        x = images(seed=step)
        expected = algorithm(x, norm, r_max, d_max, 1e-5)
        found = norm(x)
        torch.testing.assert_close(found, expected)
        if step < 2:
            torch.testing.assert_close(found, plain(x))
    assert norm.num_batches_tracked == len(bounds)


def test_a_single_value_per_channel_is_refused() -> None:
    norm = made(BatchRenormConfig(name="batch_renorm", **AT_ONCE), size=(1, 1))
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        norm(images(1)[:, :, :1, :1])


def test_a_bound_can_not_be_final_before_it_may_rise() -> None:
    with pytest.raises(ValueError, match="r_max_steps must be at least warmup_steps, but got r_max_steps=10 with warm"):
        BatchRenormConfig(name="batch_renorm", r_max_steps=10)
