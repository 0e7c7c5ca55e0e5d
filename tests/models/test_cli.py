"""`python -m wsnet.models`."""

import re
from pathlib import Path

import pytest
import torch

from wsnet.models import MODELS, build, listing
from wsnet.models.__main__ import main
from wsnet.models.listing import representative

SWEEP = """\
name: sizes
base:
  data: {name: cifar100}
  model: {name: cifar_resnet, depth: 8}
  optim: {name: sgd, lr: 0.1}
  train: {epochs: 1}
cases:
  - {model.norm.name: batch}
  - {model.norm.name: layer}
grid: {train.batch_size: [1, 2]}
"""


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip()]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "150")


def test_a_model_of_the_command_line_is_measured_on_its_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model.name=resnet", "model.depth=18", "model.stem=cifar", "data.name=cifar100"]) == 0
    heading, row, convention = lines(capsys)
    assert heading == "model images parameters MACs/image kept/image"
    assert row == "resnet depth=18 stem=cifar 3x32x32 11,220,132 555,468,800 4.7 MB"
    assert "multiply-accumulates of convolutions and linear layers (torch's counter)" in convention


def test_shape_classes_and_convention_can_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    pairs = ["model.name=resnet", "model.depth=18"]
    assert main([*pairs, "--shape", "3x224x224", "--classes", "1000", "--convention", "thop"]) == 0
    _, row, convention = lines(capsys)
    assert row.startswith("resnet depth=18 3x224x224 11,689,512 1,819,577,368 ")
    assert "thop's convention" in convention


def test_each_model_of_a_sweep_file_is_listed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sizes.yaml"
    path.write_text(SWEEP)
    assert main([str(path), "model.depth=14"]) == 0
    rows = lines(capsys)[1:-1]
    assert [re.sub(r" 3x32x32.*", "", row) for row in rows] == [
        "cifar_resnet depth=14",
        "cifar_resnet depth=14 norm.name=layer",
    ]


@pytest.mark.slow
def test_without_arguments_every_family_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small, large = representative((3, 32, 32), 10), representative((3, 224, 224), 1000)
    assert {listed.model.name for listed in (*small, *large)} == set(MODELS)
    with torch.device("meta"):
        for listed in (*small, *large):
            build(listed.model, classes=listed.classes, shape=listed.shape)
    monkeypatch.setattr(listing, "_SMALL", [listing._SMALL[0], listing._SMALL[2]])
    assert main([]) == 0
    assert [row.split()[0] for row in lines(capsys)[1:-1]] == ["alexnet", "cifar_resnet"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["model.name=wrn", "model.depht=28"], "model.depht: unknown key; did you mean 'model.depth'?"),
        (["model.name=wrnn"], "unknown name 'wrnn'; did you mean 'wrn'?"),
        (["model.name=cifar_resnet", "model.depth=21"], "depth must be 6n + 2"),
        (["nowhere.yaml"], "nowhere.yaml: no such file"),
        (["resnet20"], "by its options: python -m wsnet.models model.name=cifar_resnet model.depth=20"),
        (["ResNet-50"], "model.name=resnet model.depth=50"),
        (["wrn-28-10"], "model.name=wrn model.depth=28"),
        (["cifar_resnet"], "model.name=cifar_resnet model.depth=20"),
        (["mobilenet_v2"], "model.name=torchvision model.architecture=mobilenet_v2"),
        (["quickstar"], "did you mean 'quickstart'?"),
        (["model.name=torchvision", "model.architecture=resnet19"], "did you mean 'resnet1"),
        (["model.name=resnet", "model.depth=18", "model.norm.name=group", "model.norm.groups=7"], "groups must divide"),
    ],
)
def test_a_mistake_is_told_and_the_status_is_2(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert text in captured.err and not captured.out


def test_a_shape_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for shape in ("3x32", "3x0x3", "axbxc"):
        with pytest.raises(SystemExit, match="2"):
            main(["--shape", shape])
