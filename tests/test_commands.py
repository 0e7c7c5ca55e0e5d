"""The command `wsnet`, and how messages name commands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from wsnet import called
from wsnet.called import SCRIPTS
from wsnet.cli import COMMANDS, main
from wsnet.config import ConfigError
from wsnet.config.example_sweeps import example_sweeps, sweep_file
from wsnet.sweep.commands.init import main as init
from wsnet.sweep.commands.stop import main as stop

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("started", "run", "analyze", "models"),
    [
        ("/usr/bin/wsnet", "wsnet run", "wsnet analyze", "wsnet models"),
        ("/x/wsnet/__main__.py", "python -m wsnet run", "python -m wsnet analyze", "python -m wsnet models"),
        ("run_sweep.py", "python run_sweep.py", "python analyze.py", "python -m wsnet.models"),
        ("../a b/analyze.py", "python '../a b/run_sweep.py'", "python '../a b/analyze.py'", "python -m wsnet.models"),
        ("/x/wsnet/models/__main__.py", "python run_sweep.py", "python analyze.py", "python -m wsnet.models"),
    ],
)
def test_messages_name_commands_as_this_one_was_called(
    started: str, run: str, analyze: str, models: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [started])
    assert [called.called(name) for name in ("run", "analyze", "models")] == [run, analyze, models]
    assert called.program("run") == (run if "-m" in run else run.removeprefix("python "))
    assert called.called("status") == f"{run.removesuffix(' run')} status"
    monkeypatch.setattr(sys, "argv", [started, "run", "status"])
    assert called.called("status") == f"{run} status"


def test_outside_the_source_tree_there_are_no_scripts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py"])
    monkeypatch.setattr(called, "__file__", str(tmp_path / "wsnet" / "called.py"))
    assert [called.called(name) for name in ("run", "train")] == ["wsnet run", "python -m wsnet.training"]


def test_errors_and_help_name_the_command_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/wsnet"])
    empty = tmp_path / "empty"  # Beside which there is no sweep that could be meant.
    empty.mkdir()
    assert main(["stop", str(empty), "bn"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("wsnet stop: ") and "that wsnet run wrote" in error
    assert main(["analyze", str(empty)]) == 2
    assert capsys.readouterr().err.startswith("wsnet analyze: no sweep in ")
    monkeypatch.setattr(sys, "argv", ["run_sweep.py"])
    assert stop([str(empty), "bn"]) == 2
    assert capsys.readouterr().err.startswith("run_sweep.py stop: ")
    with pytest.raises(SystemExit):
        init(["--help"])
    assert capsys.readouterr().out.startswith("usage: run_sweep.py init ")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_its_own_name(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/wsnet"])
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0 and text.startswith(f"usage: wsnet {command} ")
    assert not any(script in text for script in (*SCRIPTS.values(), "{run}", "{analyze}"))


def test_help_lists_the_commands_and_a_typo_gets_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"\n    {command} " in text for command in COMMANDS)
    with pytest.raises(SystemExit) as ended:
        main(["runn"])
    assert ended.value.code == 2 and "invalid choice: 'runn'; did you mean 'run'?" in capsys.readouterr().err
    ways = {"stauts": "did you mean 'status'?", "quickstart": ".py quickstart", "a.yaml": ".py a.yaml"}
    for wrong, meant in ways.items():
        with pytest.raises(SystemExit, match="2"):
            main([wrong])
        assert capsys.readouterr().err.endswith(f"{meant}\n")


def test_help_loads_nothing_slow() -> None:
    code = """
import sys
from wsnet.cli import main
for argv in (["--help"], ["analyze", "--help"]):
    try:
        main(argv)
    except SystemExit:
        pass
print({"torch", "pydantic", "pyarrow", "ray"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.slow
def test_a_dry_run_without_images_says_so_alone_and_leaves_nothing_behind(tmp_path: Path) -> None:
    proxies = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")  # Nothing listens there: no network.
    others = {k: v for k, v in os.environ.items() if k.lower() not in ("no_proxy", "wsnet_data", *proxies)}
    environment = {**others, **proxies, "WSNET_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    (tmp_path / "here").mkdir()
    command = [sys.executable, "-m", "wsnet", "run", "cifar_small", "--dry-run"]
    done = subprocess.run(command, cwd=tmp_path / "here", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "the images of 'cifar10' are not in 'data'" in done.stderr
    assert done.stderr.endswith("To use another folder, set --data-root or WSNET_DATA.\n")
    assert not list((tmp_path / "here").iterdir())


def test_examples_are_found_by_name_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    assert sweep_file("quickstart") == "sweeps/quickstart.yaml"
    monkeypatch.chdir(tmp_path)
    assert sweep_file("quickstart") == str(ROOT / "sweeps" / "quickstart.yaml")
    assert sweep_file("quickstart.yaml") == "quickstart.yaml" and sweep_file("a/quickstart") == "a/quickstart"
    Path("quickstart").write_text("mine")
    assert sweep_file("quickstart") == "quickstart"
    assert example_sweeps().keys() == {path.stem for path in (ROOT / "sweeps").glob("*.yaml")}
    with pytest.raises(ConfigError, match="no example of this name; did you mean 'cifar_decay'"):
        sweep_file("cifar_deca")


@pytest.mark.slow
def test_the_commands_in_the_documentation_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `wsnet (\w+)[^|]*\| `python ([^`]*?\.py|-m [\w.]+)[ `]", text, re.MULTILINE)
    assert {name for name, _ in shown} == {*COMMANDS, "status"}
    assert all(SCRIPTS.get(name, "run_sweep.py") == script for name, script in shown)
    monkeypatch.chdir(tmp_path)
    (line,) = re.findall(r"^    wsnet (init .*)$", text, re.MULTILINE)
    assert main(line.split()) == 0
    assert "wrote mine.yaml: 24 settings, 72 trials" in capsys.readouterr().out
