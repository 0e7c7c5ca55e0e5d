"""Pre-activation blocks against the papers' formulas."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.models.configs import config, network
from wsnet.layers import Dropout, Layers, initialize
from wsnet.models.preact_resnet import PreActBasicBlock, PreActBlock, PreActBottleneck

BATCH = Layers(config("cifar_resnet", depth=8).norm)
NONE = Layers(config("cifar_resnet", "none", depth=8).norm)


def made(block: PreActBlock) -> PreActBlock:
    initialize(block, 0)
    return block


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_basic_block_is_the_papers_formula(stride: int, is_shared: bool) -> None:
    channels = 8 * stride
    block = made(PreActBasicBlock(BATCH, 8, channels, channels, size=(6, 6), stride=stride, is_shared=is_shared))
    x = torch.randn(4, 8, 6, 6)

    def norm(x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, training=True)

    activated = norm(x).relu()
    kept = activated if is_shared else x
    out = F.conv2d(activated, block.conv1.weight, stride=stride, padding=1)
    out = F.conv2d(norm(out).relu(), block.conv2.weight, padding=1)
    shortcut = F.conv2d(kept, block.downsample[0].weight, stride=2) if stride == 2 else kept  # type: ignore[index]
    torch.testing.assert_close(block(x), out + shortcut)


def test_the_options_of_a_block() -> None:
    x = torch.randn(4, 8, 6, 6)
    for kind in (PreActBasicBlock, PreActBottleneck):
        block = made(kind(BATCH, 8, 8, 8, size=(6, 6), stride=1, first_activation=False, last_norm=True))
        assert isinstance(block.act1, nn.Identity)
        branch = block(x) - x
        torch.testing.assert_close(branch.mean((0, 2, 3)), torch.zeros(8), rtol=0, atol=1e-5)
        torch.testing.assert_close(branch.var((0, 2, 3), correction=0), torch.ones(8), rtol=1e-3, atol=0)
        # Before a shortcut the activation stays.
        shared = kind(BATCH, 8, 8, 8, size=(6, 6), stride=1, first_activation=False, is_shared=True)
        assert isinstance(shared.act1, nn.ReLU)


@pytest.mark.parametrize("is_shared", [False, True])
def test_without_a_norm_a_block_leaves_its_input_alone(is_shared: bool) -> None:
    block = made(PreActBasicBlock(NONE, 8, 8, 8, size=(6, 6), stride=1, is_shared=is_shared))
    x = torch.randn(4, 8, 6, 6)
    before = x.clone()
    branch = F.conv2d(F.conv2d(x.relu(), block.conv1.weight, padding=1).relu(), block.conv2.weight, padding=1)
    torch.testing.assert_close(block(x), branch + (before.relu() if is_shared else before))
    assert torch.equal(x, before)


def test_preact_stage_names_the_first_block_of_each_stage() -> None:
    model = network(config("preact_resnet", depth=14, preact_stage=[True, False, True]), classes=10, shape=(1, 8, 8))
    shared = [module.is_shared for module in model.modules() if isinstance(module, PreActBasicBlock)]
    assert shared == [True, False, False, False, True, False]


def test_wrns_dropout_comes_before_the_second_convolution_of_each_block() -> None:
    model = network(config("wrn", depth=10, widening=1, dropout=0.5), classes=10, shape=(3, 8, 8))
    blocks = [module for module in model.modules() if isinstance(module, PreActBasicBlock)]
    seen: list[float] = []
    for block in blocks:
        assert isinstance(block.dropout, Dropout)
        block.conv2.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0] == 0).float().mean()))
    model(torch.randn(8, 3, 8, 8))
    dropped = list(seen)
    seen.clear()
    model.eval()(torch.randn(8, 3, 8, 8))
    assert len(blocks) == 3
    for training, evaluation in zip(dropped, seen, strict=True):
        assert training > 0.65
        assert evaluation < 0.6


@pytest.mark.parametrize(
    "options",
    [{"depth": 8}, {"depth": 8, "add_last_norm": True}, {"depth": 11, "block": "bottleneck", "se_reduction": 4}],
)
def test_zero_branches_begin_as_their_shortcuts(options: dict[str, Any]) -> None:
    model = network(config("preact_resnet", residual_init="zero", **options), classes=10, shape=(1, 8, 8)).eval()
    seen = []

    def compare(block: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        seen.append(block)
        torch.testing.assert_close(
            output, block.downsample(block.act1(block.bn1(*inputs)) if block.is_shared else inputs[0])
        )

    for module in model.modules():
        if isinstance(module, PreActBlock):
            module.register_forward_hook(compare)
    model(torch.randn(3, 1, 8, 8))
    assert len(seen) == 3
