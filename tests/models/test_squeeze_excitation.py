"""Squeeze-and-excitation against its formula."""

import pytest
import torch

from tests.models.configs import config
from wsnet.config.norm import NoNormConfig
from wsnet.layers import Layers
from wsnet.models import build, parameter_count
from wsnet.models.blocks import BasicBlock, Bottleneck, SqueezeExcitation
from wsnet.models.preact_resnet import PreActBlock


def test_each_channel_is_multiplied_by_its_gate() -> None:
    layer = SqueezeExcitation(Layers(NoNormConfig(name="none")), 6, 4)
    x = torch.randn(3, 6, 5, 4)
    squeezed = x.mean((2, 3)) @ layer.fc1.weight.T + layer.fc1.bias
    gate = torch.sigmoid(squeezed.clamp(min=0) @ layer.fc2.weight.T + layer.fc2.bias)
    assert squeezed.shape == (3, 1)
    torch.testing.assert_close(layer(x), x * gate.view(3, 6, 1, 1))


@pytest.mark.parametrize(
    ("name", "depth"),
    [("cifar_resnet", 8), ("preact_resnet", 8), ("cifar_resnext", 11), ("resnet", 18), ("resnet", 50), ("resnext", 50)],
)
def test_every_block_has_one(name: str, depth: int) -> None:
    with torch.device("meta"):
        model = build(config(name, depth=depth, se_reduction=4), classes=10, shape=(3, 32, 32))
    blocks = [module for module in model.modules() if isinstance(module, BasicBlock | Bottleneck | PreActBlock)]
    assert blocks
    assert all(isinstance(block.se, SqueezeExcitation) for block in blocks)


def test_the_papers_counts() -> None:
    # Hu et al. 2018, section 3.2: SE-ResNet-50 has about 2.5 million parameters more than the 25 million of ResNet-50:
    # 2 / r * sum of blocks * channels^2, and here biases: one for each channel and each of channels / r.
    channels = [(3, 256), (4, 512), (6, 1024), (3, 2048)]
    added = sum(blocks * (2 * c * c // 16 + c + c // 16) for blocks, c in channels)
    plain = parameter_count(config("resnet", depth=50), 1000, (3, 224, 224))
    assert parameter_count(config("resnet", depth=50, se_reduction=16), 1000, (3, 224, 224)) == plain + added
    assert added == pytest.approx(2.5e6, rel=0.02)


def test_a_reduction_of_more_than_the_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="must not exceed the channels of any block, but got se_reduction=17, chan"):
        build(config("cifar_resnet", depth=8, se_reduction=17), classes=10, shape=(1, 8, 8))
