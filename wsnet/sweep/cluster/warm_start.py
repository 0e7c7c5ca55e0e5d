"""Fast starts of Ray's worker processes: each is forked from one process that has imported what trials need.

A new process takes seconds to import torch and Ray Tune, and a trial of two workers needs three. So a sweep that starts
its own Ray gives it, as the program of its workers, one that runs `warm_start_client.py`, which asks the server here to
fork. Where nobody answers, the program becomes Ray's own.

The server runs nothing but imports and has not touched a GPU, so that forking it is safe. It ends with the driver,
whose end closes its standard input.
"""

import atexit
import gc
import importlib
import json
import os
import random
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["WarmServer", "is_on", "warm_starts"]

_OF_RAY = ("requests", "jsonschema", "google.protobuf.struct_pb2", "pyarrow.dataset", "fsspec", "yaml", "click")
"""Modules that Ray imports, and that do not import Ray."""

FIRST = ("torch", "pandas", "wsnet.training", "wsnet.training.fit", "rich.console", *_OF_RAY)
"""Modules that the server imports at once."""

WITH_RAY = ("ray._private.workers.default_worker", "ray.tune", "ray.train.torch", "wsnet.sweep.trials.trainable")
"""Modules that it imports when Ray runs: Ray reads the job and more from the environment at import, once."""

_SINGLE_THREADED = {"OMP_NUM_THREADS": "1"}
"""Environment of the server, which must start no threads of numpy's; a trial sets its number of threads itself."""

_CLIENT = Path(__file__).with_name("warm_start_client.py")
_SOCKET = "warm"
"""Name of the server's socket in its folder."""


class WarmServer:
    """A running server.

    Args:
        process: the server; None if workers start as usual.
        folder: its temporary folder.
    """

    def __init__(self, process: "subprocess.Popen[bytes] | None", folder: str) -> None:
        self._process, self._folder = process, folder
        self.is_in_use = False
        """Whether Ray's workers are forked from it."""

    @property
    def client(self) -> list[str]:
        """The command that replaces Python: what follows is run in a process that the server forks."""
        return [sys.executable, "-I", "-S", str(_CLIENT), os.path.join(self._folder, _SOCKET)]

    @property
    def is_running(self) -> bool:
        """Whether there is a server."""
        return self._process is not None

    def worker(self, job_id: str, program: str) -> str:
        """The program that takes the place of a worker's program, and has the server fork.

        Args:
            job_id: Ray's name of this process's job. Workers of other jobs, such as those of a sweep that joins this
                Ray, start as usual: what the server has imported belongs to this job.
            program: Ray's; returned as it is if there is no server.
        """
        if not self.is_running:
            return program
        path, arguments = os.path.join(self._folder, "worker.py"), [*self.client[3:], program]
        with open(path, "w", encoding="utf-8") as file:
            file.write("import os, runpy, sys\n")
            file.write(f"if os.environ.get('RAY_JOB_ID') != {job_id!r}:\n")
            file.write(f"    os.execv(sys.executable, [sys.executable, {program!r}, *sys.argv[1:]])\n")
            file.write(f"sys.argv[:1] = {arguments!r}\n")
            file.write(f"runpy.run_path({arguments[0]!r}, run_name='__main__')\n")
        return path

    def end(self) -> None:
        """Have workers start as usual from now on."""
        if self._process is not None:
            self._process.kill()

    def ray_runs(self, job_id: str, raylet: int) -> None:
        """Tell the server whose workers it forks.

        Args:
            job_id: Ray's name of this process's job.
            raylet: process id of the node's raylet.
        """
        if self._process is None:
            return
        self.is_in_use = True
        assert self._process.stdin is not None
        environ = {**os.environ, "RAY_JOB_ID": job_id, "RAY_RAYLET_PID": str(raylet)}
        with suppress(BrokenPipeError):  # Without the server, workers start as usual.
            self._process.stdin.write(json.dumps(environ).encode() + b"\n")
            self._process.stdin.flush()


def is_on(variable: str) -> bool:
    """Whether an environment variable does not switch something off."""
    return os.environ.get(variable, "1").lower() not in ("0", "false", "no")


@contextmanager
def warm_starts(folder: str) -> Iterator[WarmServer]:
    """Within the context, a server forks workers; only on Linux, and unless `WSNET_WARM_START` is 0.

    Args:
        folder: a private temporary folder for the server's socket. If its path is too long for one, there is no server.
    """
    is_wanted = sys.platform == "linux" and is_on("WSNET_WARM_START")
    address = os.path.join(folder, _SOCKET)
    with socket.socket(socket.AF_UNIX) as listener:
        if not (is_wanted and _is_bound(listener, address)):
            yield WarmServer(None, folder)
            return
        listener.listen(128)  # Who asks early waits until the imports are done.
        process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(listener.fileno()), str(Path(__file__).parents[3])],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            env={**_SINGLE_THREADED, **os.environ},
            start_new_session=True,  # The terminal's Ctrl-C is for the driver.
        )
    server = WarmServer(process, folder)
    try:
        yield server
    finally:
        assert process.stdin is not None
        if not server.is_in_use:  # It may be importing, and look at nothing else.
            server.end()
        with suppress(BrokenPipeError):
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)


def _is_bound(listener: socket.socket, address: str) -> bool:
    """Bind a socket to an address; False if that cannot be, such as to a path that is too long."""
    try:
        listener.bind(address)
    except OSError:
        return False
    return True


def _serve(listening: str, code_folder: str) -> list[str]:
    """Fork for each client; returns, in the forked process, its command line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # The system then removes ended children.
    with socket.socket(fileno=int(listening)) as listener:
        _preload(code_folder, FIRST)
        os.environ.update(json.loads(sys.stdin.readline() or os._exit(0)))  # Without a line, the driver has ended.
        with _own_class_ids():
            _preload(code_folder, WITH_RAY)
        if _would_share_ids():  # Then workers start as usual.
            os._exit(1)
        gc.freeze()  # Otherwise each forked process would copy the memory of every object.
        while True:
            ready = select.select([listener.fileno(), 0], [], [])[0]
            if 0 in ready:  # The driver has ended.
                os._exit(0)
            connection, _ = listener.accept()
            try:
                asked, files = _receive(connection)
            except (OSError, ValueError, struct.error):  # The client has ended.
                connection.close()
                continue
            if os.fork() == 0:
                break
            for file in files:
                os.close(file)
            connection.close()
    _become(asked, files, connection)
    arguments: list[str] = asked["argv"]
    return arguments


def _preload(code_folder: str, modules: tuple[str, ...]) -> None:
    gc.disable()  # All of it stays: looking for garbage meanwhile takes a tenth of the time.
    sys.path.insert(0, code_folder)
    for module in modules:
        with suppress(Exception):  # The worker will import it, and say what is wrong.
            importlib.import_module(module)
    sys.path.remove(code_folder)
    gc.enable()


@contextmanager
def _own_class_ids() -> Iterator[None]:
    """Within the context, modules that define actor classes do not touch Ray's generator of random ids.

    Its state would be forked: two workers would give their tasks the same ids, and Ray would mix them up.
    """
    import ray.actor
    from ray._raylet import ActorClassID

    class OwnIds:
        @staticmethod
        def from_random() -> Any:
            return ActorClassID(os.urandom(ActorClassID.size()))

    ray.actor.ActorClassID = OwnIds
    try:
        yield
    finally:
        ray.actor.ActorClassID = ActorClassID


def _would_share_ids() -> bool:
    """Whether two forked processes get the same random ids."""
    from ray._raylet import UniqueID

    ids = []
    for _ in range(2):
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.write(writer, UniqueID.from_random().binary())
            os._exit(0)
        ids.append(os.read(reader, 64))
        os.close(reader)
        os.close(writer)
    return ids[0] == ids[1]


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What a client asks for, with its standard input, output and error."""
    start, files, _, _ = socket.recv_fds(connection, 8, 3)
    (size,) = struct.unpack("!Q", start)
    with connection.makefile("rb", buffering=0) as stream:
        content = b""
        while len(content) < size and (more := stream.read(size - len(content))):
            content += more
    asked: dict[str, Any] = json.loads(content)
    return asked, files


def _become(asked: dict[str, Any], files: list[int], connection: socket.socket) -> None:
    """Make this process the one that the client asked for."""
    os.setpgid(0, 0)  # Ray ends the whole group of a worker.
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environ"])
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    atexit.register(gc.unfreeze)  # At the end, libraries complain of what was not collected.
    connection.sendall(b"1")
    threading.Thread(target=_end_with_client, args=(connection,), daemon=True).start()


def _end_with_client(connection: socket.socket) -> None:
    """End this process when its client has been killed, which Ray takes for this process."""
    with suppress(OSError):
        connection.recv(1)
    os._exit(1)


if __name__ == "__main__":
    sys.argv = _serve(*sys.argv[1:])
    sys.path.insert(0, os.path.dirname(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")
