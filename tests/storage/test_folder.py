"""A folder of any filesystem."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyarrow import fs

from wsnet.storage import Folder, StorageError

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["local", "uri", "subtree", "mock"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A folder that does not exist yet, on filesystems local and not."""
    if request.param == "local":
        return Folder(tmp_path / "runs" / "new")
    if request.param == "uri":
        return Folder(f"file://{tmp_path}/runs/new")
    if request.param == "subtree":
        return Folder("runs/new", filesystem=fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()))
    return Folder("mock://runs/new")


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_an_absent_folder_holds_nothing(folder: Folder) -> None:
    assert folder.names() == []
    assert folder.read("a") is None
    assert not folder.exists("a")
    assert folder.size("a") == 0
    assert folder.existing(["a", "b"]) == [False, False]
    assert folder.existing([]) == []
    folder.delete("a")


def test_what_is_written_can_be_read(folder: Folder) -> None:
    folder.write("a", b"one")
    folder.write("a", b"two!")
    folder.append("b", b"x")
    folder.append("b", b"y")
    assert (folder.read("a"), folder.read("b")) == (b"two!", b"xy")
    assert folder.size("a") == 4
    assert folder.existing(["a", "c", "b"]) == [True, False, True]
    assert folder.names() == ["a", "b"]
    folder.delete("a")
    assert folder.names() == ["b"]


def test_folders_nest(folder: Folder) -> None:
    (folder / "trials" / "t1").write("a", b"1")
    assert folder.names() == ["trials"]
    assert (folder / "trials").names() == ["t1"]
    assert not folder.exists("trials")  # no file
    assert (folder / "trials/t1").read("a") == b"1"
    assert (folder / "trials").location == f"{folder.location}/trials"


def test_only_a_local_folder_has_a_local_path(tmp_path: Path) -> None:
    assert (Folder(tmp_path) / "a").local == tmp_path / "a"
    assert Folder(f"file://{tmp_path}").local == tmp_path
    assert Folder("mock://runs").local is None
    assert Folder("~/runs").local == Path.home() / "runs"


def test_an_unknown_filesystem_is_told() -> None:
    with pytest.raises(StorageError, match="must be a path or a URI known to pyarrow, but got 'gopher://runs'"):
        Folder("gopher://runs")


def test_names_leave_out_locks_and_what_a_killed_writer_left(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / ".a.tmp123").touch()
    with folder.lock():
        assert folder.names() == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(folder: Folder) -> None:
    folder.write("a", b"old")
    with pytest.raises(TypeError):
        folder.write("a", "no bytes")  # type: ignore[arg-type]
    if folder.local is not None:
        assert [path.name for path in folder.local.iterdir()] == ["a"]
    assert folder.read("a") == b"old"


def test_what_was_written_or_appended_survives_a_power_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, int]] = []

    def fsync(handle: int) -> None:
        there = os.fstat(handle)
        synced.append((there.st_ino, there.st_size))

    monkeypatch.setattr(os, "fsync", fsync)
    folder = Folder(tmp_path)
    for change in (folder.write, folder.append):
        change("a", b"a line")
        there = (tmp_path / "a").stat()
        assert (there.st_ino, there.st_size) in synced


@pytest.mark.slow
def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    code = """
import sys
from wsnet.storage import Folder
folder, number = Folder(sys.argv[1]), 0
while True:
    number += 1
    folder.write("a", bytes([number % 256]) * 300_000)
    if number == 1: print("started", flush=True)
"""
    for delay in (0.0, 0.011, 0.023, 0.037):
        writer = python(code, str(tmp_path))
        assert writer.stdout is not None
        assert writer.stdout.readline() == "started\n"
        time.sleep(delay)
        seen = Folder(tmp_path).read("a") or b""  # while it is being rewritten
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        for data in (seen, (tmp_path / "a").read_bytes()):
            assert len(data) == 300_000
            assert len(set(data)) == 1


@pytest.mark.slow
def test_a_lock_keeps_a_second_process_out_and_dies_with_its_holder(tmp_path: Path) -> None:
    hold = """
import sys, time
from wsnet.storage import Folder
with Folder(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(60)
"""
    first = python(hold, str(tmp_path))
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    second = python(hold, str(tmp_path))
    assert second.stdout is not None
    try:
        waiting, _, _ = select.select([second.stdout], [], [], 1.5)
        assert not waiting
        first.send_signal(signal.SIGKILL)
        assert second.stdout.readline() == "held\n"
    finally:
        for process in (first, second):
            process.kill()
            process.wait()


def test_a_lock_can_be_taken_again(folder: Folder) -> None:
    for turn in (b"1", b"2"):
        with folder.lock():
            folder.write("a", turn)
    assert folder.read("a") == b"2"


def test_a_uri_keeps_its_query_behind_the_path() -> None:
    folder = Folder("runs?x", filesystem=fs.LocalFileSystem())
    assert (folder / "t").location == "runs?x/t", "a path may have question marks"
    bucket = Folder("s3://bucket/runs?region=eu-west-1&endpoint_override=127.0.0.1:9")
    assert (
        bucket / "trials" / "t"
    ).location == "s3://bucket/runs/trials/t?region=eu-west-1&endpoint_override=127.0.0.1:9"


@pytest.mark.parametrize("location", ["", "~nobody-of-this-name/runs"])
def test_a_place_that_can_not_be_is_refused(location: str) -> None:
    with pytest.raises(StorageError, match="storage must be a path or a URI, but got"):
        Folder(location)


def test_renaming_replaces_and_a_missing_file_is_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write("a", b"1")
    folder.write("b", b"2")
    folder.rename("a", "b")
    folder.rename("a", "b")
    assert folder.names() == ["b"] and folder.read("b") == b"1"


def test_what_is_not_a_file_reads_as_absent(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # Opening it would wait for ever.
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    assert [Folder(tmp_path).read(name) for name in ("pipe", "folder", "absent")] == [None] * 3
    assert (Folder(tmp_path) / "file").read("below") is None
