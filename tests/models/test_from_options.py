"""`wsnet.model`: networks from Python values."""

from pathlib import Path

import pytest
import torch

import wsnet
from tests.models.small import ALL
from wsnet.config.architectures import CifarResNetConfig
from wsnet.config.norm import GroupNormConfig
from wsnet.data import DataError
from wsnet.layers import OwnNormError, StandardizedConv2d, initialize
from wsnet.models import MODELS, ModelError, build
from wsnet.report import ReportError
from wsnet.storage import StorageError
from wsnet.tracking import TrackingError


def refusal(*arguments: object, **options: object) -> list[str]:
    with pytest.raises(ValueError) as caught:
        wsnet.model(*arguments, **options)  # type: ignore[arg-type]
    return str(caught.value).splitlines()


def test_a_model_has_the_weights_of_a_trial_with_its_seed() -> None:
    norm = {"name": "group", "groups": 8}
    model = wsnet.model("cifar_resnet", depth=8, norm=norm, weight="standardized", classes=7, seed=3)
    config = CifarResNetConfig(
        name="cifar_resnet", depth=8, norm=GroupNormConfig(name="group", groups=8), weight="standardized"
    )
    expected = build(config, classes=7, shape=(3, 32, 32))
    initialize(expected, 3)
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in expected.state_dict().items())
    assert any(isinstance(module, StandardizedConv2d) for module in model.modules())
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"torchvision"}))
def test_every_architecture_can_be_made(name: str) -> None:
    options, shape = next((dict(o), shape) for o, shape in ALL.values() if o["name"] == name)
    model = wsnet.model(options.pop("name"), classes=3, shape=shape, **options)
    assert model.eval()(torch.zeros(2, *shape)).shape == (2, 3)


def test_without_a_seed_torchs_generator_decides() -> None:
    def weights() -> torch.Tensor:
        return torch.cat([p.flatten() for p in wsnet.model("cifar_resnet", depth=8, width=4).parameters()])

    torch.manual_seed(1)
    first, second = weights(), weights()
    torch.manual_seed(1)
    assert torch.equal(first, weights()) and not torch.equal(first, second)


def test_shake_shake_draws_anew_in_every_step_of_ones_own_loop() -> None:
    model = wsnet.model("shake_shake", depth=8, width=4, norm="none", seed=0)
    x = torch.ones(4, 3, 32, 32)
    assert not torch.equal(model(x), model(x))


def test_a_norm_of_ones_own_is_found_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("import torch\n\nclass Mine(torch.nn.BatchNorm2d):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    model = wsnet.model("cifar_resnet", depth=8, norm="mine.py:Mine")
    assert "Mine" in {type(module).__name__ for module in model.modules()}
    (line,) = refusal("cifar_resnet", depth=8, norm="mime.py:Mine")
    assert "norm.name: no such file" in line and "mine.py'?" in line


def test_all_mistakes_are_told_at_once_with_the_nearest_name() -> None:
    assert refusal("cifar_resnet", depht=20, norm="grup") == [
        "wsnet.model: norm: unknown name 'grup'; did you mean 'group'?",
        "wsnet.model: depht: unknown key; did you mean 'depth'?",
    ]
    assert (
        "norm.groups: has no effect with 'batch'"
        in refusal("wrn", depth=10, widening=1, norm={"name": "batch", "groups": 4})[0]
    )
    assert "norm: must be a norm's name" in refusal("cifar_resnet", depth=20, norm=3)[0]
    assert "classes: must be a whole number of at least 1, but got 0" in refusal("alexnet", classes=0, shape=3)[0]
    assert "shape: must be (channels, height, width)" in refusal("alexnet", classes=0, shape=3)[1]
    assert refusal("cifar_resnet", depth=20, norm="group") == [
        "wsnet.model: norm.groups: groups must divide the channels, but got groups=32 with layers of 16, 32 and 64 "
        "channels; possible: 16, 8, 4, 2, 1"
    ]


def test_an_option_of_the_norm_is_told_where_to_go() -> None:
    written = "norm={'name': 'online', 'forward_decay': 0.9, 'eps': 0.1}"
    assert refusal("cifar_resnet", depth=8, norm="online", forward_decay=0.9, eps=0.1) == [
        f"wsnet.model: forward_decay: is an option of the norm; write {written}",
        f"wsnet.model: eps: is an option of the norm; write {written}",
    ]
    (line,) = refusal("shake_shake", norm={"name": "online", "eps": 0.1}, forward_decay=0.9)
    assert "write norm={'name': 'online', 'eps': 0.1, 'forward_decay': 0.9}" in line


def test_what_cannot_be_used_is_an_error_of_wsnets_and_a_value_error() -> None:
    for kind in (wsnet.ConfigError, ModelError, DataError, ReportError, StorageError, TrackingError, OwnNormError):
        assert issubclass(kind, wsnet.Error) and issubclass(kind, ValueError)
    with pytest.raises(wsnet.Error, match="no sweep in"):
        wsnet.load("nowhere")
    with pytest.raises(wsnet.Error, match="more than one element"):
        wsnet.model("resnet", depth=18, norm="instance", stem="cifar", shape=(1, 8, 8))
    with pytest.raises(wsnet.ConfigError, match=r"wsnet\.replace_norms: Linear has no BatchNorm2d"):
        wsnet.replace_norms(torch.nn.Linear(1, 1), "group")


@pytest.mark.slow
def test_a_network_of_torchvisions_is_made_and_its_name_is_recognized() -> None:
    model = wsnet.model("torchvision", architecture="squeezenet1_1", classes=5, shape=(3, 32, 32))
    assert model.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 5)
    (line,) = refusal("resnet50")
    assert line.endswith('torchvision\'s network is wsnet.model("torchvision", architecture="resnet50")')
    (line,) = refusal("torchvision", architecture="resnet18", norm="online")
    assert line.endswith("; wsnet.replace_norms(model, ...) changes them")
