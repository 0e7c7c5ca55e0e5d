"""`wsnet init`: a sweep file of one's own."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.models.configs import NORMS
from wsnet.config import read_sweep
from wsnet.config.data import OWN_SETS
from wsnet.config.datasets import IMAGE_SETS
from wsnet.models import parameter_count
from wsnet.sweep.commands.init import main
from wsnet.sweep.commands.new_sweep import images_of

SETS = [name for name in IMAGE_SETS if name not in OWN_SETS]
NETWORKS = [(data, model) for data in SETS for model in images_of(data, file=Path("a.yaml")).models]
NAMES = sorted({str(norm["name"]) for norm in NORMS.values() if ".py" not in str(norm["name"])})
DEMANDING = "group,layer,instance,evonorm_s0,group+ws"
"""Norms and weights that do not fit every map and every filter."""


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments]) == 2
    return capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("data", "model"), NETWORKS)
def test_every_network_can_be_built_with_the_demanding_norms(data: str, model: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    assert main([str(file), "--data", data, "--model", model, "--norms", DEMANDING, "--batch-sizes", "8"]) == 0
    sweep = read_sweep(str(file))
    assert len(sweep.settings) == 5 and not sweep.warnings
    facts = sweep.settings[0].config.data.facts
    for setting in sweep.settings:
        assert parameter_count(setting.config.model, classes=facts.classes, shape=facts.shape) > 0


def test_every_norm_is_a_row_with_standardized_weights_and_without(tmp_path: Path) -> None:
    norms = ",".join([*NAMES, *(f"{name}+ws" for name in NAMES)])
    assert main([str(tmp_path / "mine.yaml"), "--norms", norms, "--batch-sizes", "8"]) == 0
    assert len(read_sweep(str(tmp_path / "mine.yaml")).settings) == 2 * len(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("data", SETS)
def test_every_combination_of_choices_is_a_sweep_without_warnings(data: str, tmp_path: Path) -> None:
    kinds = ("", "batch", "batch,group+ws"), ("", "16", "1,8"), ("", "0.1", "0.1,0.3"), ("6",), ("2",)
    for count, chosen in enumerate(itertools.product(*kinds)):
        options = zip(("--norms", "--batch-sizes", "--lr", "--seeds", "--epochs"), chosen, strict=True)
        given = [word for option, value in options if value for word in (option, value)]
        assert main([str(tmp_path / f"{count}.yaml"), "--data", data, *given]) == 0
        sweep = read_sweep(str(tmp_path / f"{count}.yaml"))
        assert not sweep.warnings
        assert ("optim.lr" in sweep.axes) == (chosen[2] == "0.1,0.3") == (sweep.config.report.select is not None)


def test_the_file_says_what_it_does_and_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sub" / "my sweep.yaml"
    assert main([str(file)]) == 0
    assert f"wrote {file}: 12 settings, 60 trials" in capsys.readouterr().out
    text = file.read_text()
    assert text.startswith("# 12 settings x 5 seeds = 60 trials.") and "name: my_sweep\n" in text
    assert "exists already; give another name, or --force" in refusal(capsys, str(file), "--seeds", "2")
    assert file.read_text() == text
    assert main([str(file), "--seeds", "2", "--force"]) == 0
    assert "seeds: 2\n" in file.read_text()


def test_a_folder_of_ones_own_images_is_found_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, label in itertools.product(("train", "test"), ("cat", "dog")):
        folder = tmp_path / "pets" / split / label
        folder.mkdir(parents=True)
        for number in range(20):
            Image.fromarray(np.zeros((40, 48, 3), np.uint8)).save(folder / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    assert main(["sweeps/mine.yaml", "--data", "pets", "--batch-sizes", "4"]) == 0
    data = read_sweep("sweeps/mine.yaml").settings[0].config.data
    assert (data.name, data.facts.shape, data.train_size) == ("folder", (3, 40, 40), 36)


def test_a_norm_of_ones_own_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "mynorm.py").write_text("import torch\n\nclass MyNorm(torch.nn.BatchNorm2d):\n    pass\n")
    file = tmp_path / "mine.yaml"
    assert main([str(file), "--norms", "batch,mynorm.py:MyNorm+ws"]) == 0
    last = read_sweep(str(file)).settings[-1].config.model
    assert (last.norm.name, last.weight) == ("mynorm.py:MyNorm", "standardized")


def test_what_cannot_be_used_is_told_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "mine.yaml")
    assert "'cifar11'; did you mean 'cifar10'?" in refusal(capsys, file, "--data", "cifar11")
    assert "a network for images of 8 pixels: cifar_resnet, " in refusal(capsys, file, "--model", "vgg")
    assert "unknown norm 'grup'; did you mean 'group'?" in refusal(capsys, file, "--norms", "batch,grup")
    assert "only +ws (standardized weights) may stand" in refusal(capsys, file, "--norms", "group+wn")
    assert "must not exceed the training set" in refusal(capsys, file, "--batch-sizes", "3000")
    assert "--seeds: must be a whole number of at least 1, but got '0'" in refusal(capsys, file, "--seeds", "0")
    assert not Path(file).exists()


def test_all_mistakes_in_the_options_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--data", "cifar10", "--model", "vgg0", "--norms", "group2,group+sw,bn", "--lr", "abc", "--epochs", "0")
    said = refusal(capsys, str(tmp_path / "mine.yaml"), *options).splitlines()
    assert [line.partition(": ")[0] for line in said] == ["--model", *["--norms"] * 3, "--lr", "--epochs"]
    assert "'group2'" in said[1] and "'group+sw'" in said[2] and "'bn'; did you mean 'batch'?" in said[3]


@pytest.mark.parametrize(
    ("norms", "against", "count"),
    [
        ("batch,group,online", {"model.norm.name": "batch"}, 2),
        ("group+ws,batch,group", {"model.norm.name": "group", "model.weight": "standardized"}, 2),
        ("group,batch,group+ws", {"model.norm.name": "group", "model.weight": "none"}, 2),
        ("layer+ws,batch", {"model.norm.name": "layer"}, 1),
    ],
)
def test_the_norms_are_compared_with_the_first(norms: str, against: dict[str, str], count: int, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    assert main([str(file), "--norms", norms, "--batch-sizes", "8"]) == 0
    sweep = read_sweep(str(file))
    assert sweep.config.report.compare is not None and sweep.comparisons is not None
    assert (sweep.config.report.compare.against, sweep.comparisons.count) == (against, count)


def test_a_single_norm_has_its_comparison_as_a_comment(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    assert main([str(file), "--norms", "batch"]) == 0
    assert "  # compare: {against: {model.norm.name: batch}}\n" in file.read_text()
    assert read_sweep(str(file)).comparisons is None


def test_on_a_terminal_it_asks_and_asks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["cifra10", "cifar10", "", "batch,online", "64", "0", "3", ""])
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return next(answers)

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", answer)
    assert main([str(tmp_path / "mine.yaml")]) == 0
    assert asked[0] == "images [digits]: " and asked[-1] == "epochs [30]: "
    assert "did you mean 'cifar10'?" in capsys.readouterr().out
    sweep = read_sweep(str(tmp_path / "mine.yaml"))
    assert len(sweep.settings) == 2 and sweep.config.seeds == 3


def test_an_interrupted_question_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(question: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", interrupted)
    assert main([str(tmp_path / "mine.yaml")]) == 130
    assert not list(tmp_path.iterdir())
