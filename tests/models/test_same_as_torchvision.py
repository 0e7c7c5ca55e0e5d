"""torchvision's weights give torchvision's outputs."""

from typing import Any

import pytest
import torch
from torch import nn

from tests.models.configs import config
from wsnet.models import build

CASES: dict[str, tuple[dict[str, Any], int]] = {
    # torchvision's name: our options, side of the images
    "resnet18": ({"name": "resnet", "depth": 18}, 65),
    "resnet50": ({"name": "resnet", "depth": 50}, 65),
    "resnext50_32x4d": ({"name": "resnext", "depth": 50}, 65),
    "alexnet": ({"name": "alexnet", "norm": "none"}, 95),
    "vgg11": ({"name": "vgg", "depth": 11, "norm": "none"}, 70),
    "vgg13_bn": ({"name": "vgg", "depth": 13}, 70),
}


@pytest.mark.slow
@pytest.mark.parametrize("model", CASES)
def test_torchvisions_weights_give_torchvisions_outputs(model: str) -> None:
    torchvision = pytest.importorskip("torchvision")
    options, side = CASES[model]
    theirs = getattr(torchvision.models, model)(num_classes=20).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(value, 0.5, 1.0)
    with torch.device("meta"):
        ours = build(config(**options), classes=20, shape=(3, side, side + 1)).eval()
    ours.load_state_dict(theirs.state_dict(), assign=True)
    x = torch.randn(2, 3, side, side + 1)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("resnet152", {"name": "resnet", "depth": 152}),
        ("resnext101_32x8d", {"name": "resnext", "depth": 101, "group_width": 8}),
        ("resnext101_64x4d", {"name": "resnext", "depth": 101, "cardinality": 64}),
        ("vgg16_bn", {"name": "vgg", "depth": 16}),
        ("vgg19", {"name": "vgg", "depth": 19, "norm": "none"}),
    ],
)
def test_torchvisions_parameters_have_our_names_and_shapes(model: str, options: dict[str, Any]) -> None:
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        theirs = getattr(torchvision.models, model)()
        ours = build(config(**options), classes=1000, shape=(3, 224, 224))
    shapes = {name: value.shape for name, value in theirs.state_dict().items()}
    assert {name: value.shape for name, value in ours.state_dict().items()} == shapes
