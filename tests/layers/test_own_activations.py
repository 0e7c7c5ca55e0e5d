"""Norms that bring their own activation: filter response normalization and EvoNorm-S0."""

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from tests.layers.formulas import C, N, assert_same_with_gradients, drawn, images, made, per_channel
from wsnet.config.norm import EvoNormS0Config, FilterResponseNormConfig, GroupNormConfig
from wsnet.layers import ChannelAffine, Layers, ThresholdedLinearUnit, initialize

FRN = FilterResponseNormConfig(name="filter_response", eps=0.1)
LEARNED = FilterResponseNormConfig(name="filter_response", learned_eps=True)
EVO = EvoNormS0Config(name="evonorm_s0", groups=4, eps=0.1)


def test_filter_response_norm_divides_by_the_root_mean_square() -> None:
    norm = made(FRN)

    def formula(x: Tensor) -> Tensor:
        root = (x.square().mean((2, 3), keepdim=True) + 0.1).sqrt()
        return x / root * per_channel(norm.weight) + per_channel(norm.bias)

    assert_same_with_gradients(norm, formula, images())


def test_a_learned_eps_counts_by_its_size() -> None:
    norm = made(LEARNED)
    norm.learned_eps.data.mul_(torch.tensor([1.0, -1.0] * 4))

    def formula(x: Tensor) -> Tensor:
        root = (x.square().mean((2, 3), keepdim=True) + 1e-6 + per_channel(norm.learned_eps.abs())).sqrt()
        return x / root * per_channel(norm.weight) + per_channel(norm.bias)

    assert_same_with_gradients(norm, formula, images() / 3)


@pytest.mark.parametrize("after", ["norm", "sum"])
def test_the_thresholded_linear_unit_is_the_larger_of_value_and_threshold(after: Literal["norm", "sum"]) -> None:
    unit = drawn(Layers(FRN).activation(C, after=after))
    tau = per_channel(unit.tau)
    # As in a network, where it overwrites the output of another layer.
    assert_same_with_gradients(
        nn.Sequential(nn.ReflectionPad2d(0), unit), lambda x: torch.where(x > tau, x, tau), images()
    )


def test_the_thresholded_linear_unit_overwrites_its_input_only_where_that_is_not_shared() -> None:
    for shared in (True, False):
        unit = drawn(Layers(FRN).activation(C, after="sum", input_is_shared=shared))
        x = images()
        y = unit(x)
        assert torch.equal(y, torch.maximum(images(), per_channel(unit.tau)))
        assert torch.equal(x, images() if shared else y)


def test_at_its_threshold_the_thresholded_linear_unit_has_the_relus_gradient() -> None:
    x = torch.tensor([-1.0, 0.0, 2.0]).view(1, 1, 1, 3).requires_grad_()
    unit = ThresholdedLinearUnit(1)
    of_x, of_tau = torch.autograd.grad(unit(x).sum(), (x, unit.tau))
    assert torch.equal(of_x, torch.autograd.grad(x.relu().sum(), x)[0])
    assert of_tau.tolist() == [2]


def test_evonorm_follows_its_formula() -> None:
    norm = made(EVO)

    def formula(x: Tensor) -> Tensor:
        groups = x.reshape(N, 4, -1)
        std = ((groups - groups.mean(2, keepdim=True)).square().mean(2) + 0.1).sqrt().repeat_interleave(C // 4, 1)
        activated = x / (1 + (-per_channel(norm.v) * x).exp())
        return activated / std[:, :, None, None] * per_channel(norm.weight) + per_channel(norm.bias)

    assert_same_with_gradients(norm, formula, images())


def test_evonorm_before_a_sum_is_a_scale_and_a_shift() -> None:
    norm = drawn(Layers(EVO).norm(C, size=(1, 1), before="sum"))
    assert type(norm) is ChannelAffine
    assert_same_with_gradients(norm, lambda x: x * per_channel(norm.weight) + per_channel(norm.bias), images())


def test_activations_follow_from_the_norm_and_the_place() -> None:
    def kinds(layers: Layers) -> tuple[str, str]:
        return type(layers.activation(C)).__name__, type(layers.activation(C, after="sum")).__name__

    assert kinds(Layers(FRN)) == ("ThresholdedLinearUnit", "ThresholdedLinearUnit")
    assert kinds(Layers(EVO)) == ("Identity", "ReLU")
    assert kinds(Layers(GroupNormConfig(name="group", groups=4))) == ("ReLU", "ReLU")


@pytest.mark.parametrize("config", [FRN, LEARNED, EVO], ids=["frn", "frn-learned", "evonorm"])
def test_images_do_not_influence_each_other_and_evaluation_is_the_same(config: FilterResponseNormConfig) -> None:
    norm, x = made(config), images()
    torch.testing.assert_close(norm(x[:1]), norm(x)[:1])
    assert torch.equal(norm(x), norm.eval()(x))


@pytest.mark.parametrize("config", [FRN, LEARNED, EVO], ids=["frn", "frn-learned", "evonorm"])
def test_half_precision_stays_half_precision_outside(config: FilterResponseNormConfig) -> None:
    norm, x = made(config).float(), images().bfloat16()
    assert norm(x).dtype == torch.bfloat16
    torch.testing.assert_close(norm(x).float(), norm(x.float()), rtol=1e-2, atol=1e-2)


def test_initial_values_are_the_papers() -> None:
    model = nn.Sequential(made(LEARNED), drawn(Layers(FRN).activation(C)), made(EVO))
    initialize(model, 0)
    found = {name: value.unique().tolist() for name, value in model.state_dict().items()}
    assert found.pop("0.learned_eps") == pytest.approx([1e-4])
    assert found == {
        "0.weight": [1], "0.bias": [0], "1.tau": [0], "2.weight": [1], "2.bias": [0], "2.v": [1],
    }  # fmt: skip


def test_single_elements_are_refused() -> None:
    with pytest.raises(ValueError, match="single element needs learned_eps, but got learned_eps=False, channels=8"):
        made(FRN, size=(1, 1))
    made(LEARNED, size=(1, 1))
    with pytest.raises(ValueError, match=r"evonorm_s0 normalization needs more than one element .* map of 1x1"):
        made(EvoNormS0Config(name="evonorm_s0", groups=C), size=(1, 1))
    with pytest.raises(ValueError, match="groups must divide the channels, but got groups=32, channels=8"):
        made(EvoNormS0Config(name="evonorm_s0"))
