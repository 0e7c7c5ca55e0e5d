"""Every command that README.md and docs/ show can be run, and every key that they name exists."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from wsnet.config import dotted_keys, read_sweep
from wsnet.config.reading.keys import sweep_keys
from wsnet.config.reading.only_and_smoke import only
from wsnet.models.__main__ import _parser as models_parser
from wsnet.report import conclude, read_chosen
from wsnet.report.arguments import curves_parser
from wsnet.report.arguments import parser as report_parser
from wsnet.report.cli import main as analyze
from wsnet.storage import Folder, Status, trial_directory
from wsnet.storage.trial_directory import Record
from wsnet.sweep.arguments import parser as sweep_parser
from wsnet.sweep.cli import main as run_sweep
from wsnet.sweep.planning.plan import make_plan
from wsnet.training.__main__ import _parser as training_parser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_OTHERS = ("status", "stop", "retry", "gc", "init")


_SCRIPTS = {
    "run": "python run_sweep.py ",
    "analyze": "python analyze.py ",
    "train": "python -m wsnet.training ",
    "models": "python -m wsnet.models ",
}
"""By command of `wsnet`: how else it is called."""


def _commands() -> list[tuple[str, str]]:
    """Page and command, as shown on a line of its own or within a sentence."""
    found: dict[tuple[str, str], None] = {}
    for page in PAGES:
        text = re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))
        lines = re.findall(r"^\s*(python (?:-m wsnet|run_sweep|analyze).*?)(?:\s+#.*)?$", text, re.MULTILINE)
        inline = re.findall(r"`(python (?:-m wsnet|run_sweep\.py|analyze\.py)[^`]*)`", text)
        short = re.findall(r"^ {4,}(wsnet (?:run|analyze|train|models) .*?)(?:\s+#.*)?$", text, re.MULTILINE)
        long = [_SCRIPTS[line.split()[1]] + line.split(maxsplit=2)[2] for line in short]
        found |= dict.fromkeys((page.name, " ".join(line.split())) for line in [*lines, *inline, *long])
    return list(found)


COMMANDS = _commands()


def _of(program: str) -> list[Any]:
    return [
        pytest.param(shlex.split(command)[2:], page, id=f"{page}: {command[:90]}")
        for page, command in COMMANDS
        if shlex.split(command)[1] == program and len(shlex.split(command)) > 2
    ]


def test_there_are_commands_of_every_kind() -> None:
    assert {shlex.split(command)[1] for _, command in COMMANDS} == {"run_sweep.py", "analyze.py", "-m"}
    assert len(_of("run_sweep.py")) > 40 and len(_of("analyze.py")) > 10


@pytest.mark.parametrize(("words", "page"), [each for each in _of("run_sweep.py") if each.values[0][0] not in _OTHERS])
def test_a_shown_sweep_can_be_read_with_its_options(
    words: list[str], page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    arguments = sweep_parser().parse_args([word for word in words if word != "..."])
    for pair in arguments.set:
        key = pair.partition("=")[0]
        assert key in dotted_keys() or key in sweep_keys(), key
    if Path(arguments.sweep).exists():
        chosen = only(read_sweep(arguments.sweep, arguments.set), arguments.only).settings
        one = page == "from-other-tools.md" and arguments.only  # What another tool's command trains is one setting.
        assert len(chosen) == 1 if one else chosen


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with the quickstart as it is when it has ended, with made-up records."""
    there = tmp_path_factory.mktemp("documented")
    plan = make_plan(read_sweep(str(ROOT / "sweeps" / "quickstart.yaml")), "quickstart.yaml", root=there)
    folder = Folder(str(there / "runs" / "quickstart"))
    plan.manifest.write(folder)
    for number, trial in enumerate(plan.trials):
        directory = trial_directory(folder, trial.entry.trial_id)
        epochs = trial.config.train.epochs
        directory.write_records([_record(epoch, number % 7 + epochs - epoch) for epoch in range(1, epochs + 1)])
        directory.write_execution({"device_name": "made up", "threads": 1})
        directory.write_status(Status(status="finished", epoch=epochs))
    return there


def _record(epoch: int, error: float) -> Record:
    splits = ("train", "validation", "test")
    measured = {f"{split}/{name}": error for split in splits for name in ("loss", "top1_error", "top5_error")}
    return {"epoch": epoch, "lr": 0.1, **measured, "time/epoch_seconds": 1.0}


def _is_of_quickstart(words: list[str]) -> bool:
    places = [word for word in words if word.startswith("runs/")]
    return places == ["runs/quickstart"]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "page"), [each for each in _of("analyze.py") if _is_of_quickstart(each.values[0])])
def test_a_shown_report_of_the_quickstart_is_made(
    words: list[str], page: str, quickstart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(quickstart)
    assert analyze(words) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "page"), [each for each in _of("run_sweep.py") if each.values[0][0] in ("status", "gc")]
)
def test_a_shown_command_on_a_folder_runs(
    words: list[str], page: str, quickstart: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(quickstart)
    if len(words) > 1 and Path(words[1]).exists():
        assert run_sweep(words, conclude=conclude, choose=read_chosen) == 0
        assert capsys.readouterr().out


_SECTIONS = "data|model|optim|train|execution|search|scheduler|resources|report|stages"


_PARSERS = {"analyze.py": report_parser, "wsnet.training": training_parser, "wsnet.models": models_parser}
"""By program: the parser of commands whose options are read without running them."""

_READ_ONLY = [
    *[each for each in _of("analyze.py") if not _is_of_quickstart(each.values[0])],
    *[each for each in _of("-m") if each.values[0][0] in _PARSERS],
]


@pytest.mark.parametrize(("words", "page"), _READ_ONLY)
def test_the_options_of_a_shown_command_are_taken(words: list[str], page: str) -> None:
    program, rest = (words[0], words[1:]) if words[0] in _PARSERS else ("analyze.py", words)
    parser = curves_parser() if rest[:1] == ["curves"] else _PARSERS[program]()
    rest = [word for word in rest if word not in ("curves", "...")]
    if not rest and program == "wsnet.training":  # Its name alone, in a sentence.
        rest = ["trial.yaml"]
    assert parser.parse_args(rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_key_on_a_page_is_unknown(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(rf"`((?:{_SECTIONS})\.[a-z0-9_.]*[a-z0-9_])(?:[:=][^`]*)?`", text)
    known = {*dotted_keys(), *sweep_keys(), *_OWN}
    unknown = sorted({key for key in named if key not in known and not key.endswith(_FILES)})
    assert not unknown, f"{page.name} names {', '.join(unknown)}"


_OWN = {"model.norm.power"}
"""The option of the example in docs/own-norm.md."""
_FILES = (".md", ".py", ".html", ".png", ".csv", ".tex", ".parquet", ".yaml", ".json", ".pt", ".svg", ".pdf")
