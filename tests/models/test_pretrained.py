"""Weights from files: torchvision's, and the published checkpoints of group norm with weight standardization."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.models.configs import config, network
from wsnet.models import PretrainedError, build, load_pretrained, pretrained_hash
from wsnet.models.pretrained import torchvision_name

SHAPE = (3, 32, 32)


def saved(folder: Path, content: Any, *, old: bool = False) -> str:
    path = folder / "weights.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return str(path)


def loaded(model: Any, *, classes: int = 10, seed: int = 5) -> tuple[nn.Module, list[str]]:
    net = network(model, classes=classes, shape=SHAPE, seed=seed)
    kept = load_pretrained(net, model, classes=classes)
    return net, kept


def assert_same(one: nn.Module, other: nn.Module) -> None:
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_the_published_layout_of_group_norm_with_weight_standardization(tmp_path: Path) -> None:
    # A DataParallel's names in the old pickle layout, beside numbers: as in joe-siyuan-qiao/pytorch-classification.
    options: dict[str, Any] = {"depth": 18, "norm": {"name": "group", "groups": 32}, "weight": "standardized"}
    source = network(config_of("resnet", **options), classes=10, shape=SHAPE, seed=1)
    state = {f"module.{name}": value for name, value in source.state_dict().items()}
    path = saved(tmp_path, {"epoch": 90, "arch": "resnet18", "state_dict": state, "best_acc": 70.0}, old=True)
    net, kept = loaded(config_of("resnet", **options, pretrained=path))
    assert_same(net, source)
    assert not kept


def config_of(name: str, norm: Any, **options: Any) -> Any:
    from pydantic import TypeAdapter

    from wsnet.config.architectures import ModelConfig

    return TypeAdapter(ModelConfig).validate_python({"name": name, "norm": norm, **options})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [("resnet", {"depth": 18}), ("torchvision", {"architecture": "resnet18"})],
)
def test_torchvisions_own_state_loads(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.models.resnet18(num_classes=10)
    net, _ = loaded(config(name, pretrained=saved(tmp_path, theirs.state_dict()), **options))
    assert_same(net, theirs)


def test_old_names_of_densenet_load(tmp_path: Path) -> None:
    source = network(config("densenet", depth=121), classes=10, shape=SHAPE, seed=1)
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.") if "denselayer" in name else name: value
        for name, value in source.state_dict().items()
        if "num_batches_tracked" not in name
    }
    net, _ = loaded(config("densenet", depth=121, pretrained=saved(tmp_path, old)))
    assert_same(net, source)


def test_a_checkpoint_of_wsnet_gives_its_weights(tmp_path: Path) -> None:
    source = network(config("cifar_resnet", depth=8), classes=10, shape=SHAPE, seed=1)
    content = {"format": 1, "trial_id": "x", "epoch": 3, "model": source.state_dict(), "optimizer": {}, "records": []}
    net, _ = loaded(config("cifar_resnet", depth=8, pretrained=saved(tmp_path, content)))
    assert_same(net, source)


def test_a_classifier_of_other_classes_keeps_its_initial_weights(tmp_path: Path) -> None:
    source = network(config("cifar_resnet", depth=8), classes=100, shape=SHAPE, seed=1)
    model = config("cifar_resnet", depth=8, pretrained=saved(tmp_path, source.state_dict()))
    net, kept = loaded(model, classes=10, seed=5)
    fresh = network(model, classes=10, shape=SHAPE, seed=5)
    assert kept == ["fc.weight", "fc.bias"]
    assert torch.equal(net.get_parameter("fc.weight"), fresh.get_parameter("fc.weight"))
    assert torch.equal(net.get_parameter("conv1.weight"), source.get_parameter("conv1.weight"))


def test_normalized_filters_take_their_gain_from_plain_ones(tmp_path: Path) -> None:
    source = network(config("cifar_resnet", depth=8), classes=10, shape=SHAPE, seed=1).eval()
    path = saved(tmp_path, source.state_dict())
    net, _ = loaded(config("cifar_resnet", depth=8, weight="normalized", pretrained=path))
    x = torch.randn(2, *SHAPE)
    torch.testing.assert_close(net.eval()(x), source(x), rtol=1e-4, atol=1e-4)


def test_what_is_no_fitting_file_is_refused_with_its_reason(tmp_path: Path) -> None:
    source = network(config("cifar_resnet", depth=8, width=8), classes=10, shape=SHAPE)
    (tmp_path / "text.pth").write_text("no weights")
    (tmp_path / "empty.pth").write_bytes(b"")
    files = {
        str(tmp_path / "nowhere.pth"): "there is no file .*nowhere.pth",
        str(tmp_path / "text.pth"): "is not a file of weights, or is damaged",
        str(tmp_path / "empty.pth"): "is not a file of weights, or is damaged",
        saved(tmp_path, source.state_dict()): "conv1.weight is 8x3x3x3 there and 16x3x3x3 here.* and [0-9]+ more",
    }
    for path, text in files.items():
        with pytest.raises(PretrainedError, match=text):
            loaded(config("cifar_resnet", depth=8, pretrained=path))
    for content, text in (
        ({"lr": 0.1}, "holds no weights"),
        ([torch.ones(3)], "holds no weights"),
        (
            {"conv1.weight": torch.ones(16, 3, 3, 3), "other": torch.ones(2)},
            "lacks bn1.weight, .*; it also has other",
        ),
    ):
        with pytest.raises(PretrainedError, match=text):
            loaded(config("cifar_resnet", depth=8, pretrained=saved(tmp_path, content)))


class Malicious:
    def __reduce__(self) -> Any:
        return (print, ("code ran",))


def test_code_in_a_file_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for old in (False, True):
        with pytest.raises(PretrainedError, match="is not a file of weights"):
            loaded(config("cifar_resnet", depth=8, pretrained=saved(tmp_path, Malicious(), old=old)))
    assert "code ran" not in capsys.readouterr().out


def test_the_hash_is_the_files(tmp_path: Path) -> None:
    import hashlib

    path = saved(tmp_path, {"a": torch.ones(1)})
    model = config("cifar_resnet", depth=8, pretrained=path)
    assert pretrained_hash(model) == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert pretrained_hash(config("cifar_resnet", depth=8)) is None


def test_networks_of_torchvision_are_known_by_name() -> None:
    names = [
        torchvision_name(config(name, norm, **options))
        for name, norm, options in [
            ("resnet", "batch", {"depth": 50}),
            ("resnext", "batch", {"depth": 101, "group_width": 8}),
            ("vgg", "none", {"depth": 16}),
            ("vgg", "batch", {"depth": 16}),
            ("alexnet", "none", {}),
            ("densenet", "batch", {"depth": 161}),
            ("torchvision", "batch", {"architecture": "squeezenet1_0"}),
        ]
    ]
    assert names == ["resnet50", "resnext101_32x8d", "vgg16", "vgg16_bn", "alexnet", "densenet161", "squeezenet1_0"]
    for name, norm, options in [
        ("resnet", "group", {"depth": 50}),
        ("resnet", "batch", {"depth": 50, "stem": "cifar"}),
        ("resnet", "batch", {"depth": 50, "weight": "standardized"}),
        ("resnext", "batch", {"depth": 50, "group_width": 5}),
        ("cifar_resnet", "batch", {"depth": 20}),
    ]:
        assert torchvision_name(config(name, norm, **options)) is None
        with pytest.raises(PretrainedError, match="torchvision has no weights for"):
            pretrained_hash(config(name, norm, **options, pretrained=True))


def test_torchvisions_file_is_looked_for_where_torchvision_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torchvision = pytest.importorskip("torchvision")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    model = config("resnet", depth=18, pretrained=True)
    asked = []

    def offline(url: str, path: str, **options: Any) -> None:
        asked.append((url, path, options))
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(PretrainedError, match=r"resnet18-\w+.pth cannot be downloaded \(no network\); put it at "):
        pretrained_hash(model)
    url, path, options = asked[0]
    assert url == torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url and options["hash_prefix"] in url
    torch.save(torchvision.models.resnet18().state_dict(), path)
    net = build(model, classes=10, shape=SHAPE)
    assert load_pretrained(net, model, classes=10) == ["fc.weight", "fc.bias"]


def test_a_relative_path_is_made_absolute() -> None:
    assert config("cifar_resnet", depth=8, pretrained="a.pth").pretrained == str(Path("a.pth").absolute())


def test_weights_that_would_be_drawn_anew_from_data_are_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.pretrained has no effect with weight_init 'data_dependent'"):
        config("cifar_resnet", "none", depth=8, weight="normalized", weight_init="data_dependent", pretrained="a.pth")
