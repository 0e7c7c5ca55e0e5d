"""A folder's lease: one process has it at a time, whatever the filesystem, and it outlives no process for long."""

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.storage.s3 import s3_server
from wsnet.storage import Folder, Holder, LeaseLost
from wsnet.storage import lease as lease_module
from wsnet.storage.lease import _Pace

COUNT = """
import sys
from wsnet.storage import Folder
folder = Folder(sys.argv[1])
for _ in range(25):
    with folder.lease():
        folder.write("count", str(int(folder.read("count") or b"0") + 1).encode())
"""


@pytest.mark.slow
def test_processes_and_threads_take_turns_and_leave_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    processes = [subprocess.Popen([sys.executable, "-c", COUNT, str(tmp_path)]) for _ in range(3)]

    def count() -> None:
        for _ in range(25):
            with folder.lease():
                folder.write("count", str(int(folder.read("count") or b"0") + 1).encode())

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert folder.read("count") == b"150"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = _Pace(heartbeat=0.05, stale=1.0, poll=0.02)
    monkeypatch.setattr(lease_module, "_LOCAL", pace)
    monkeypatch.setattr(lease_module, "_REMOTE", pace)


def write(folder: Folder, holder: Holder) -> None:
    folder.write(".lease", json.dumps(asdict(holder)).encode())


def test_a_process_that_has_ended_or_whose_id_is_reused_holds_nothing(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    me = Holder.this_process()
    for dead in (replace(me, pid=ended.pid, token="x"), replace(me, started="1", token="x")):
        write(Folder(tmp_path), dead)
        assert dead.is_dead and not Folder(tmp_path).is_locked()
        with Folder(tmp_path).lease() as lease:
            assert lease.is_held and Folder(tmp_path).is_locked()


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_another_machines_process_is_waited_for_while_it_renews(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    other = replace(Holder.this_process(), machine="another", token="x")
    write(folder, other)
    lease = folder.lease()
    end = time.monotonic() + 2
    while time.monotonic() < end:
        os.utime(tmp_path / ".lease")
        assert not lease.try_acquire() and lease.holder() == other
        time.sleep(0.02)
    assert str(other).startswith(f"process {other.pid} on {other.host} since 20")
    with lease:  # It renews no longer.
        assert lease.is_held
    assert lease.holder() is None


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff\x00"])
def test_a_damaged_lease_is_taken_over_after_a_while(data: bytes, tmp_path: Path) -> None:
    (tmp_path / ".lease").write_bytes(data)
    assert not Folder(tmp_path).lease().try_acquire()
    with Folder(tmp_path).lease() as lease:
        assert lease.is_held


@pytest.mark.usefixtures("quick")
def test_who_has_lost_its_lease_is_told_before_it_writes_and_leaves_the_others(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.lease() as lease:
        lease.check()
        other = replace(Holder.this_process(), host="there", token="x")
        write(folder, other)
        while lease.is_held:
            time.sleep(0.01)
        with pytest.raises(LeaseLost, match=r"is now in use by process \d+ on there since"):
            lease.check()
    assert folder.lease().holder() == other


def test_a_filesystem_without_locks_or_links_has_leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object) -> None:
        raise OSError(37, "No locks available")

    def not_permitted(*arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(fcntl, "flock", refused)
    monkeypatch.setattr(fcntl, "lockf", refused)
    monkeypatch.setattr(os, "link", not_permitted)
    with Folder(tmp_path).lease() as lease:
        assert lease.is_held and not Folder(tmp_path).lease().try_acquire()
        assert lease.holder() is not None
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server.uri


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_of_two_that_want_a_bucket_at_once_one_gets_it(bucket: str) -> None:
    folder = Folder(bucket) / "trial"
    for turn in range(3):
        leases = [folder.lease() for _ in range(4)]
        threads = [threading.Thread(target=lease.try_acquire) for lease in leases]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (held,) = [lease for lease in leases if lease.is_held]
        assert not folder.lease().try_acquire(), turn
        held.release()
    write(folder, replace(Holder.this_process(), machine="another", token="x"))
    with folder.lease() as lease:
        assert lease.is_held
