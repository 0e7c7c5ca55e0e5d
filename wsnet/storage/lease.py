"""Ownership of a folder by one process: a file that names the process, and whose time it renews while it lives.

It needs no file locks, which some network filesystems refuse or ignore and object stores do not have.
"""

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from wsnet.storage.lease_file import LeaseFile, Place

__all__ = ["Holder", "Lease", "LeaseLost"]


@dataclass(frozen=True)
class _Pace:
    """Times in seconds, of a folder on a filesystem or in an object store.

    Attributes:
        heartbeat: between two renewals.
        stale: without a renewal, after which another machine's process counts as dead.
        poll: between two tries to get a lease.
    """

    heartbeat: float
    stale: float
    poll: float


_LOCAL, _REMOTE = _Pace(3.0, 30.0, 0.05), _Pace(10.0, 60.0, 2.0)


class LeaseLost(RuntimeError):
    """Another process has taken the folder over, since this one renewed its lease too late."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The process that holds a lease.

    Attributes:
        host: name of its machine.
        machine: identity of its machine since the last boot, and of its container; empty where there is none.
        pid: its process id there.
        started: when the process started, in the kernel's units, since process ids are reused; empty if not known.
        since: when it got the lease, in seconds since 1970.
        token: random, different for every lease.
    """

    host: str
    machine: str
    pid: int
    started: str
    since: float
    token: str

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on {self.host} since {when}"

    @classmethod
    def this_process(cls) -> "Holder":
        """A new lease's holder: this process, now."""
        pid = os.getpid()
        return cls(
            host=socket.gethostname(),
            machine=_machine(),
            pid=pid,
            started=_start_of(pid) or "",
            since=time.time(),
            token=uuid.uuid4().hex,
        )

    @classmethod
    def parse(cls, data: bytes) -> "Holder | None":
        """The holder of a lease file; None if the file is damaged or not complete yet."""
        try:
            return cls(**json.loads(data))
        except (ValueError, TypeError):
            return None

    @property
    def is_dead(self) -> bool:
        """Whether it was a process of this machine and has ended; False if that cannot be known."""
        if not self.machine or self.machine != _machine():
            return False
        return _start_of(self.pid) != self.started


class Lease:
    """A folder's lease. A context manager, which waits for it; or `try_acquire` and `release`.

    Args:
        folder: the folder.
        name: of the file; leases of different names are independent of each other.
    """

    def __init__(self, folder: Place, name: str = ".lease") -> None:
        self._location, self._file = folder.location, LeaseFile(folder, name)
        self._pace = _LOCAL if folder.local is not None else _REMOTE
        self._mine: Holder | None = None
        self._lost = False
        self._ended = threading.Event()
        self._renewing = threading.Lock()  # A renewal during the release would leave the file.
        self._seen: tuple[object, float] = (None, 0.0)  # The other's file as last seen, and since when.

    def __enter__(self) -> Self:
        while not self.try_acquire():
            time.sleep(self._pace.poll)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lease."""
        return self._mine is not None and not self._lost

    def holder(self) -> Holder | None:
        """Who holds the lease, possibly a process that has died; None if nobody does."""
        data = self._file.read()
        return None if data is None else Holder.parse(data)

    def try_acquire(self) -> bool:
        """Get the lease if it is free, or if its holder is dead; whether it is held now."""
        if self.is_held:
            return True
        data = self._file.read()
        if data is not None:
            if not self._is_stale(data):
                return False
            self._file.discard(data)
        mine = Holder.this_process()
        if not self._file.create(json.dumps(asdict(mine)).encode()):
            return False
        self._mine, self._lost, self._ended = mine, False, threading.Event()
        threading.Thread(target=self._renew, args=(mine, self._ended), name="wsnet-lease", daemon=True).start()
        return True

    def check(self) -> None:
        """Make sure that nobody else has taken over; call it before writing.

        Raises:
            LeaseLost: somebody has.
        """
        if self._lost:
            raise LeaseLost(f"{self._location} is now in use by {self.holder() or 'another process'}")

    def release(self) -> None:
        """Give the lease back, if it is held."""
        self._ended.set()
        mine, self._mine = self._mine, None
        if mine is None or self._lost:
            return
        with suppress(OSError), self._renewing:  # The storage may be away, as the process is soon.
            if self.holder() == mine:
                self._file.delete()

    def _is_stale(self, data: bytes) -> bool:
        holder = Holder.parse(data)
        if holder is not None and holder.machine and holder.machine == _machine():
            return holder.is_dead
        # By this machine's clock, since the other's may differ: how long has the file not been renewed?
        now, seen = time.monotonic(), (data, self._file.modified())
        if seen != self._seen[0]:
            self._seen = (seen, now)
        return now - self._seen[1] > self._pace.stale

    def _renew(self, mine: Holder, ended: threading.Event) -> None:
        while not ended.wait(self._pace.heartbeat):
            try:
                with self._renewing:
                    if ended.is_set():
                        return
                    if self.holder() != mine:
                        self._lost = True
                        return
                    self._file.touch()
            except OSError:  # The storage is away: the next heartbeat tries again.
                continue


def _machine() -> str:
    """Identity of this machine since its last boot, and of the container (whose process ids are its own)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _start_of(pid: int) -> str | None:
    """When a process of this machine started, in clock ticks since boot; None if it has ended."""
    try:
        # The second field, the name in parentheses, may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
