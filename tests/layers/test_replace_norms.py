"""Another norm in a model that was not made by wsnet."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

import wsnet
from tests.models.configs import NORMS
from wsnet.layers import LayerNorm2d, NormalizedConv2d, OnlineNorm2d, StandardizedConv2d, norms_of


class Small(nn.Module):
    """Two convolutions with norms, one without, and a norm of vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.bn1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second, self.bn2 = nn.Conv2d(8, 16, 3, stride=2, dilation=1, bias=False), nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.gate, self.last = nn.Conv2d(16, 16, 1), nn.LayerNorm(16)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn2(self.second(self.relu(self.bn1(self.first(x))))))
        out: Tensor = self.last((x * self.gate(x).sigmoid()).mean((2, 3)))
        return out


class NormAct(nn.BatchNorm2d):
    """A norm and its activation in one module, as timm has them."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.drop(super().forward(x)))
        return out


def images(size: int = 8) -> Tensor:
    return torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(0))


def refusal(model: nn.Module, *arguments: object, **options: object) -> str:
    before = str(model)
    with pytest.raises(wsnet.ConfigError) as caught:
        wsnet.replace_norms(model, *arguments, **options)  # type: ignore[arg-type]
    assert str(model) == before
    return str(caught.value)


def test_batch_norms_become_online_norms_with_the_same_scales_and_shifts(capsys: pytest.CaptureFixture[str]) -> None:
    model = Small()
    nn.init.uniform_(model.bn1.weight)
    weight = model.bn1.weight.detach().clone()
    model.bn2.bias.requires_grad_(False)
    assert wsnet.replace_norms(model, "online", forward_decay=0.9) is model
    assert isinstance(model.bn1, OnlineNorm2d) and model.bn1.forward_decay == 0.9
    assert torch.equal(model.bn1.weight, weight) and not model.bn2.bias.requires_grad
    assert isinstance(model.last, nn.LayerNorm)
    assert list(norms_of(model)) == ["bn1", "bn2"]
    assert capsys.readouterr().err == "wsnet: replaced 2 BatchNorm2d by 'online'\n"
    model(images()).square().sum().backward()


@pytest.mark.parametrize("name", [n for n, o in NORMS.items() if o["name"] not in ("evonorm_s0", "filter_response")])
def test_every_norm_without_an_activation_can_take_the_place(name: str) -> None:
    norm = dict(NORMS[name])
    model = wsnet.replace_norms(Small(), norm, shape=(3, 8, 8), verbose=False)
    model(images()).square().sum().backward()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules()) or "batch" in name


def test_replacing_batch_norm_by_batch_norm_changes_nothing() -> None:
    model = Small()
    model(images())
    model.eval()
    expected = model(images())
    assert torch.equal(wsnet.replace_norms(model, "batch", verbose=False)(images()), expected)


def test_device_dtype_and_mode_are_those_of_the_old_norm() -> None:
    model = wsnet.replace_norms(Small().double().eval(), "group", groups=4, verbose=False)
    assert model.bn1.weight.dtype == torch.float64 and not model.bn1.training
    assert wsnet.replace_norms(Small().to("meta"), "group", groups=4).bn1.weight.is_meta


def test_only_convolutions_before_norms_are_standardized_and_keep_their_parameters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = Small()
    weight, expected = model.second.weight, model.eval()(images())
    wsnet.replace_norms(model, "batch", weight="normalized")
    assert isinstance(model.second, NormalizedConv2d) and model.second.weight is weight
    assert type(model.gate) is nn.Conv2d
    assert torch.allclose(model(images()), expected, atol=1e-6)
    wsnet.replace_norms(model := Small(), "group", groups=8, weight="standardized")
    assert isinstance(model.first, StandardizedConv2d) and type(model.gate) is nn.Conv2d
    assert capsys.readouterr().err.splitlines()[1].endswith("by 'group', and 2 convolutions by standardized ones")


def test_a_norm_with_an_activation_in_it_keeps_the_activation() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), NormAct(8))
    wsnet.replace_norms(model, "none", verbose=False)
    assert torch.equal(model(images()), nn.functional.silu(model[0](images())))


def test_without_a_norm_no_activation_overwrites_what_others_need() -> None:
    assert not wsnet.replace_norms(Small(), "none", verbose=False).relu.inplace


def test_a_shared_norm_stays_shared_and_a_norm_alone_is_returned() -> None:
    norm = nn.BatchNorm2d(8)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), norm, nn.Conv2d(8, 8, 3), norm)
    wsnet.replace_norms(model, "instance", verbose=False)
    assert model[1] is model[3] and isinstance(model[1], nn.InstanceNorm2d)
    assert isinstance(wsnet.replace_norms(norm, "online", verbose=False), OnlineNorm2d)


def test_norms_can_be_replaced_again() -> None:
    model = wsnet.replace_norms(Small(), "layer", affine="channel", verbose=False)
    assert isinstance(model.bn1, LayerNorm2d)
    for name in ("online", "batch_renorm", "instance"):
        wsnet.replace_norms(model, name, verbose=False)
    assert isinstance(model.bn1, nn.InstanceNorm2d) and model.bn1.num_features == 8


def test_a_norm_of_ones_own_is_found_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(__file__).parents[1] / "own_norms.py"
    (tmp_path / "mine.py").write_text(source.read_text())
    monkeypatch.chdir(tmp_path)
    name = next(line.split("(")[0].removeprefix("class ") for line in source.open() if line.startswith("class "))
    model = wsnet.replace_norms(Small(), f"mine.py:{name}", shape=(3, 8, 8), verbose=False)
    assert type(model.bn1).__name__ == name


def test_mistakes_are_named_with_what_to_do() -> None:
    assert "norm: unknown name 'onlin'; did you mean 'online'?" in refusal(Small(), "onlin")
    assert "norm.grups: unknown key; did you mean 'groups'?" in refusal(Small(), "group", grups=4)
    assert refusal(Small(), "group", groups=3).endswith(
        "bn1: groups must divide the channels, but got groups=3 with layers of 8 and 16 channels; possible: 8, 4, 2, 1"
    )
    assert "bn1: groups must divide" in refusal(Small(), "group", groups=16)
    assert 'give the shape of an image, such as shape=(3, 224, 224); or affine="channel"' in refusal(Small(), "layer")
    assert "has an activation of its own" in refusal(Small(), "evonorm_s0")
    assert "weight: must be 'none', 'standardized' or 'normalized'" in refusal(Small(), "online", weight="ws")
    assert "must be a norm's name" in refusal(Small(), 3)
    assert "Linear has no BatchNorm2d" in refusal(nn.Linear(2, 2), "online")
    assert "it has 1 LayerNorm, which are left" in refusal(nn.Sequential(nn.LayerNorm(3)), "online")


def test_a_convolution_of_another_class_is_not_silently_lost() -> None:
    class Padded(nn.Conv2d):
        pass

    model = nn.Sequential(Padded(3, 8, 3), nn.BatchNorm2d(8))
    assert "0: only nn.Conv2d can be standardized, but this is a Padded" in refusal(
        model, "group", groups=4, weight="standardized"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "norms", "size"), [("resnet18", 20, 32), ("mobilenet_v3_small", 34, 32), ("densenet121", 121, 32)]
)
def test_the_norms_of_torchvisions_networks(
    name: str, norms: int, size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    model = torchvision.models.get_model(name, num_classes=10)
    wsnet.replace_norms(model, "online", weight="standardized")
    assert capsys.readouterr().err.startswith(f"wsnet: replaced {norms} BatchNorm2d by 'online'")
    model(images(size)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
