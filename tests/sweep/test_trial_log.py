"""`log.txt`: bounded, whatever a trial prints."""

import sys
from pathlib import Path

import pytest
from pyarrow import fs

from wsnet.storage import Folder
from wsnet.sweep.trials import trial_log
from wsnet.sweep.trials.trial_log import logged

FILES = ["log.first.txt", "log.previous.txt", "log.txt"]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_log, "_LIMIT", 10_000)


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A trial's folder, on a local disk and on storage that cannot append."""
    if request.param == "local":
        return Folder(tmp_path / "trial")
    return Folder("trial", filesystem=fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()))


def text(folder: Folder, name: str) -> str:
    return (folder.read(name) or b"").decode()


def test_what_fits_is_one_file_and_a_later_start_continues_it(folder: Folder) -> None:
    with logged(folder):
        print("one")
    with logged(folder):
        print("two", file=sys.stderr)
        print("a lone surrogate: \udce9")
    assert folder.names() == ["log.txt"] and text(folder, "log.txt") == "one\ntwo\na lone surrogate: \\udce9\n"


def test_the_first_and_the_last_of_much_output_are_kept(folder: Folder) -> None:
    with logged(folder):
        for number in range(20_000):
            print(f"line {number}")
    assert folder.names() == FILES
    assert all(0 < folder.size(name) <= 10_000 for name in FILES)
    assert text(folder, "log.first.txt").startswith("line 0\nline 1\n")
    previous, last = (text(folder, name) for name in FILES[1:])
    assert last.startswith("... (earlier output: log.first.txt has the beginning;")
    rest = last.partition("\n")[2]
    kept = [int(line.split()[1]) for line in (previous.partition("\n")[2] + rest).splitlines()]
    assert kept == list(range(kept[0], 20_000)), "the end is whole"


def test_the_middle_of_one_enormous_text_is_left_out(folder: Folder) -> None:
    with logged(folder):
        print("a" * 1_000_000 + "b" * 1_000_000)
    assert folder.names() == ["log.txt"] and folder.size("log.txt") < 3000
    first, middle, last = text(folder, "log.txt").splitlines()
    assert (first, last) == ("a" * 1250, "b" * 1250) and middle == "... (1,997,500 characters left out) ..."
