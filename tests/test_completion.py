"""Completion by Tab, in the shells themselves where they are installed."""

import importlib.util
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from wsnet.cli import COMMANDS, main, parser
from wsnet.completion import PARSERS, script

needs_shtab = pytest.mark.skipif(importlib.util.find_spec("shtab") is None, reason="shtab is not installed")


@cache
def written(shell: str) -> str:
    return script(shell, parser())


def completed(folder: Path, *words: str) -> list[str]:
    """What bash offers after Tab, in a folder."""
    (folder / "wsnet.bash").write_text(written("bash"))
    code = """
source ./wsnet.bash
spec=$(complete -p wsnet)
COMP_WORDS=(wsnet "$@"); COMP_CWORD=$#
function=${spec#*-F }
${function%% *} wsnet "${COMP_WORDS[-1]}" 2> /dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""
    command = ["bash", "--norc", "-c", code, "bash", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.split()


@needs_shtab
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.slow
def test_bash_completes_commands_options_examples_and_files(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "mine.txt").touch()
    (tmp_path / "runs").mkdir()
    assert set(PARSERS) <= set(completed(tmp_path, ""))
    assert completed(tmp_path, "run", "--tra") == ["--tracking-uri"]
    assert completed(tmp_path, "run", "quicks") == ["quickstart"]
    assert completed(tmp_path, "run", "mi") == ["mine.yaml"]
    assert completed(tmp_path, "status", "ru") == ["runs"]
    assert completed(tmp_path, "config", "sche") == ["schema"]
    assert "--best" in completed(tmp_path, "analyze", "runs", "--be")
    assert set(completed(tmp_path, "completion", "")) >= {"bash", "zsh"}


@needs_shtab
@pytest.mark.slow
def test_zsh_takes_the_script(tmp_path: Path) -> None:
    text = written("zsh")
    assert text.startswith("#compdef wsnet") and "quickstart" in text
    if (zsh := shutil.which("zsh")) is not None:
        (tmp_path / "_wsnet").write_text(text)
        subprocess.run([zsh, "-n", str(tmp_path / "_wsnet")], check=True)


def test_every_command_is_completed() -> None:
    assert set(PARSERS) == {*COMMANDS, "completion", "status", "stop", "retry", "gc"}


def test_without_shtab_the_way_to_get_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["completion", "bash"]) == 2
    assert capsys.readouterr().err == "wsnet completion needs the shtab package: pip install 'wsnet[completion]'\n"


def test_completion_costs_the_other_commands_nothing() -> None:
    code = (
        "import sys; from wsnet.cli import parser; parser(); assert not {'shtab', 'wsnet.completion'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
