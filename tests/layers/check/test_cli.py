"""`python -m wsnet.layers check`."""

import runpy
import sys
from pathlib import Path

import pytest

from wsnet.layers.check.cli import main

ROOT = Path(__file__).parents[3]
OWN = ROOT / "tests" / "own_norms.py"
FAST = [text for name in ("gradients", "batch of 1", "micro-batches") for text in ("--only", name)]


def test_a_report_card_is_printed_and_exits_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["wsnet.layers", "check", f"{OWN.relative_to(ROOT)}:PowerNorm", "--channels", "8"]
    command += ["--option", "power=0.5", "--option", "batch_statistics=false", *FAST]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as done:
        runpy.run_module("wsnet.layers", run_name="__main__")
    printed = capsys.readouterr()
    assert (done.value.code, printed.err) == (0, "")
    lines = printed.out.splitlines()
    assert lines[0].endswith("own_norms.py:PowerNorm, batch_statistics=False, power=0.5, 8 channels, maps of 8x8")
    assert [line.split()[0] for line in lines[1:] if line[:2].strip()] == ["gradients", "batch", "micro-batches", "3"]
    assert lines[-1] == "3 pass"


def test_a_fault_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"{OWN}:WrongBackward", *FAST]) == 1
    assert "1 fail" in capsys.readouterr().out


def test_one_fault_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"{OWN}:NotDetached", *FAST]) == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["batch", "of", "1", "fail", "as", "gradients"] in lines and [
        "micro-batches",
        "fail",
        "as",
        "gradients",
    ] in lines


def test_a_norm_of_wsnet_is_checked_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "group", "--option", "groups=4", "--channels", "8", "--size", "4", *FAST]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "group, groups=4, 8 channels, maps of 4x4"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bach"], "bach: unknown name 'bach'; did you mean 'batch'?"),
        (["group", "--option", "grops=4"], "--option grops: unknown key; did you mean 'groups'?"),
        (["group", "--option", "groups=x"], "--option groups: must be a whole number, but got 'x'"),
        (["group", "--option", "groups"], "--option groups: must be key=value, such as eps=1e-3"),
        (["group", "--channels", "8"], "groups must divide the channels, but got groups=32, channels=8"),
        (["absent.py:Norm"], "absent.py:Norm: no such file: "),
        ([f"{OWN}:PowrNorm"], "own_norms.py has no class 'PowrNorm'; did you mean 'PowerNorm'?"),
        ([f"{OWN}:NoModule"], "NoModule must be a class derived from torch.nn.Module, but is derived from object"),
        ([f"{OWN}:PowerNorm", "--option", "powr=1"], "PowerNorm takes no option 'powr'; did you mean 'power'?"),
        ([f"{OWN}:Sized", "--option", "level=0"], "ValueError: level must be positive, but got 0"),
        (["group", "--only", "gradient"], "--only gradient: no such check; did you mean 'gradients'?"),
    ],
)
def test_a_mistake_is_one_line_and_exits_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
