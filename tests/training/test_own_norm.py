"""A norm from a user's file, trained."""

import os
from pathlib import Path

import pytest

from tests.training.trials import ROOT, assert_same_checkpoint, config, last, trained, trial
from wsnet.config.reading.yaml_lines import dump_yaml
from wsnet.training import Trial
from wsnet.training.__main__ import main
from wsnet.training.micro_batches import plan_micro_batches

OWN = ROOT / "tests" / "own_norms.py"
SHORT = {"train": {"epochs": 2, "steps_per_epoch": 3}}


def own(name: str = "PowerNorm", file: Path = OWN, **options: object) -> Trial:
    return trial(model={"norm": {"name": f"{file}:{name}", **options}}, **SHORT)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PowerNorm", "Sized", "Inner"])
def test_it_trains_to_the_same_bits_twice(name: str, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        result = trained(own(name), tmp_path / folder)
        assert (result.status.status, result.status.epoch) == ("finished", 2)
    assert_same_checkpoint(last(tmp_path / "one"), last(tmp_path / "two"))
    plain = trial(model={"norm": {"name": "none"}}, **SHORT)
    assert result.records[-1]["train/loss"] != trained(plain, tmp_path / "none").records[-1]["train/loss"]


def test_workers_that_share_a_batch_count_unless_images_do_not_mix(tmp_path: Path) -> None:
    def ids(**options: object) -> set[str]:
        return {Trial(config=own(**options).config, images=own().images, workers=w).trial_id for w in (1, 2)}

    assert len(ids()) == 2 and len(ids(batch_statistics=False)) == 1


def test_micro_batches_run_one_by_one_unless_images_do_not_mix() -> None:
    def plan(**options: object) -> str:
        norm = {"name": f"{OWN}:PowerNorm", **options}
        return plan_micro_batches(config(model={"norm": norm}, train={"micro_batch_size": 8})).what

    assert (plan(), plan(batch_statistics=False)) == ("loop of 4 x 8", "whole batch")


def test_its_source_is_kept_and_the_trial_can_be_had_again_without_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OWN.read_text())
    out, again = tmp_path / "out", tmp_path / "again"
    trained(own(file=file, power=0.5), out)
    file.unlink()
    assert (out / "mine.py").read_text() == OWN.read_text()
    assert main([str(out / "trial.yaml"), "--out", str(again)]) == 0
    assert_same_checkpoint(last(again), last(out))
    assert main([str(out / "trial.yaml"), "--evaluate", str(out / "last.pt")]) == 0


def test_a_source_that_changed_since_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained(own(), tmp_path / "out")
    with open(tmp_path / "out" / "own_norms.py", "a") as file:
        file.write("# later\n")
    assert main([str(tmp_path / "out" / "trial.yaml"), "--out", str(tmp_path / "again")]) == 2
    assert "own_norms.py has changed since the trial was planned" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


def test_the_command_line_trains_it_from_another_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(OWN.read_text())
    sections = config(model={"norm": {"name": "none"}}, **SHORT).model_dump(mode="json")
    sections["model"]["norm"] = {"name": "mine.py:PowerNorm", "power": 0.5}
    (tmp_path / "trial.yaml").write_text(dump_yaml(sections))
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert main([os.path.join("..", "trial.yaml"), "--out", str(tmp_path / "out"), "--set", "model.norm.eps=0.01"]) == 0
    printed = capsys.readouterr()
    assert printed.err == "" and "with mine.py:PowerNorm norm" in printed.out


@pytest.mark.parametrize(
    ("norm", "said"),
    [
        ("{name: FILE:PowrNorm}", "has no class 'PowrNorm'; did you mean 'PowerNorm'?"),
        ("{name: FILE:NoModule}", "NoModule must be a class derived from torch.nn.Module"),
        ("{name: FILE:PowerNorm, powr: 1}", "PowerNorm takes no option 'powr'; did you mean 'power'?"),
        ("{name: FILE:Sized, level: 0}", "ValueError: level must be positive, but got 0"),
        ("{name: absent.py:Norm}", "--set: model.norm.name: no such file: "),
    ],
)
def test_a_mistake_is_one_line(norm: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "trial.yaml").write_text(dump_yaml(config(**SHORT).model_dump(mode="json")))
    arguments = [str(tmp_path / "trial.yaml"), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--set", f"model.norm={norm.replace('FILE', str(OWN))}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and not (tmp_path / "out").exists()
