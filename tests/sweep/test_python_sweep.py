"""`wsnet.run`: a sweep from a script or a notebook."""

import json
from pathlib import Path
from typing import Any

import pytest

import wsnet
from wsnet.config import ConfigError
from wsnet.python_sweep import FinishedSweep

SWEEP: dict[str, Any] = {
    "name": "mine",
    "base": {
        "data": {"name": "digits", "limit": 64},
        "model": {"name": "cifar_resnet", "depth": 8, "width": 4, "norm": {"name": "batch"}},
        "optim": {"name": "sgd", "lr": 0.1},
        "train": {"epochs": 1, "batch_size": 32},
    },
    "grid": {"model.norm.name": ["batch", "layer"]},
    "seeds": 1,
}


def refusal(sweep: Any, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        wsnet.run(sweep, **options)
    return str(caught.value)


def changed(**base: Any) -> dict[str, Any]:
    return {**SWEEP, "base": {**SWEEP["base"], **base}}


@pytest.mark.slow
def test_a_dict_is_trained_and_continued_like_a_file(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mynorm.py").write_text("import torch\n\nclass MyNorm(torch.nn.BatchNorm2d):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    sweep = changed() | {"grid": {"model.norm.name": ("mynorm.py:MyNorm", "layer")}}
    done = wsnet.run(sweep, storage=tmp_path / "runs", address=cluster, set={"train.epochs": 1, "seeds": [3]})
    assert done == FinishedSweep(str(tmp_path / "runs" / "mine"), 0)
    assert sorted(done.table()["model.norm.name"]) == ["layer", "mynorm.py:MyNorm"]
    assert list(done.table(epochs=True).epoch) == [1, 1] and Path(done.report).exists()
    written = (tmp_path / "runs" / "mine" / "sweep.yaml").read_text()
    assert written.startswith("# run with --set train.epochs=1\n# run with --set seeds=[3]\nname: mine\n")
    command = json.loads((tmp_path / "runs" / "mine" / "command.json").read_text())
    assert command["command"].startswith("wsnet.run({...}, storage=") and command["text"].startswith("name: mine\n")
    capsys.readouterr()
    again = wsnet.run(sweep, storage="runs", address=cluster, set=["seeds=[3]"], only={"model.norm.name": "layer"})
    assert again is not None and again.status == 0 and len(again.table()) == 2


def test_a_dry_run_shows_the_settings_and_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert wsnet.run(SWEEP, storage=tmp_path, dry_run=True, set="train.batch_size=64") is None
    assert "2 trials" in capsys.readouterr().out and not list(tmp_path.iterdir())


def test_mistakes_are_exceptions_that_name_the_key() -> None:
    wrong = changed(model={"name": "cifar_resnet", "depht": 8})
    assert refusal(wrong).splitlines()[0] == "wsnet.run: base.model.depht: unknown key; did you mean 'depth'?"
    for sweep in (SWEEP, "quickstart"):
        (said,) = refusal(sweep, set={"train.epoch": 3}).splitlines()
        assert said == "set: train.epoch: unknown key; did you mean 'train.epochs'?"
    assert "no axis of this sweep" in refusal(SWEEP, only=["optim.lr=1"])
    assert "lists and dicts alone: {1} is a set" in refusal({"name": {1}})
    assert "no example of this name; did you mean 'quickstart'?" in refusal("quikstart")
    assert "give smoke=True too" in refusal(SWEEP, images=8)
    assert "steps: must be a whole number of at least 1" in refusal(SWEEP, smoke=True, steps=0)
    assert "budget: must be a time of at least 1 s" in refusal(SWEEP, budget="8 weeks")
    assert refusal("missing/mine.yaml").startswith("missing/mine.yaml: no such file")


def test_images_that_are_missing_are_an_exception_too(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cifar10") as caught:
        wsnet.run(changed(data={"name": "cifar10"}), dry_run=True, data_root=tmp_path, storage=tmp_path)
    assert type(caught.value).__name__ == "DataError"
