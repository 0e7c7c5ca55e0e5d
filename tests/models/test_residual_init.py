"""Residual branches that begin at zero."""

from typing import Any

import pytest
import torch

from tests.models.configs import NORMS, config, network
from wsnet.models import build
from wsnet.models.blocks import BasicBlock, Bottleneck

WEIGHTS = ("none", "standardized", "normalized")
ALLOWED = [(n, w) for n in NORMS for w in WEIGHTS if n != "instance-bare" and (n, w) != ("none", "standardized")]
DEEPER = [
    ("resnet", {"depth": 18, "stem": "cifar"}),
    ("resnet", {"depth": 50, "stem": "cifar"}),
    ("resnext", {"depth": 50, "cardinality": 8, "stem": "cifar"}),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "norm", "weight"),
    [
        *(("cifar_resnet", {"depth": 14}, norm, weight) for norm, weight in ALLOWED),
        *((name, options, norm, "normalized") for name, options in DEEPER for norm in ("batch", "none")),
    ],
)
def test_every_block_begins_as_its_shortcut(name: str, options: dict[str, Any], norm: str, weight: str) -> None:
    model = network(
        config(name, norm, weight=weight, residual_init="zero", **options), classes=10, shape=(1, 12, 12)
    ).eval()
    seen = []

    def compare(block: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        seen.append(block)
        torch.testing.assert_close(output, block.downsample(inputs[0]).relu())

    for module in model.modules():
        if isinstance(module, BasicBlock | Bottleneck):
            module.register_forward_hook(compare)
    model(torch.randn(3, 1, 12, 12))
    assert len(seen) >= 6


def test_other_weights_are_those_of_the_default() -> None:
    default, zero = (
        network(config("cifar_resnet", depth=8, residual_init=init), classes=10, shape=(1, 8, 8)).state_dict()
        for init in ("default", "zero")
    )
    different = {name for name in default if not torch.equal(default[name], zero[name])}
    assert different == {f"layer{stage}.0.bn2.weight" for stage in (1, 2, 3)}


@pytest.mark.parametrize("weight", ["none", "normalized"])
def test_a_deep_net_without_a_norm_begins_sanely(weight: str) -> None:
    sizes = []
    for init in ("default", "zero"):
        options = config("cifar_resnet", "none", depth=110, weight=weight, residual_init=init)
        model = network(options, classes=10, shape=(3, 8, 8))
        sizes.append(model(torch.randn(4, 3, 8, 8)).abs().max().item())
    assert sizes[0] > 1e6
    assert sizes[1] < 10


@pytest.mark.parametrize(
    ("norm", "weight", "named"),
    [
        ("none", "standardized", "but got weight 'standardized' and norm 'none'; use weight 'normalized'"),
        ("instance-bare", "none", "needs a norm with a learned scale, or no norm, but got norm 'instance' without one"),
    ],
)
def test_a_branch_that_can_not_be_zero_is_refused(norm: str, weight: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        build(config("cifar_resnet", norm, depth=8, weight=weight, residual_init="zero"), classes=10, shape=(1, 8, 8))
