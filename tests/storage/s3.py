"""An S3 server on this machine (moto's, from its command line), which can be lost and found again."""

import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

__all__ = ["S3Server", "s3_server"]


class S3Server:
    """moto's server with the bucket `bucket`, behind a port of its own that can be closed without losing what it holds.

    Args:
        program: path of `moto_server`.
        log: file for what it prints.
    """

    def __init__(self, program: str, log: Path) -> None:
        ports = []
        for _ in range(2):
            with socket.create_server(("127.0.0.1", 0)) as free:
                ports.append(free.getsockname()[1])
        self._inner, self._port = ports
        with log.open("ab") as file:
            command = [program, "-H", "127.0.0.1", "-p", str(self._inner)]
            self._process = subprocess.Popen(command, stdout=file, stderr=file)
        # The keys are in the URI, so that processes of a running cluster need none in their environment.
        self.uri = f"s3://key:secret@bucket?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:{self._port}"
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        end = time.monotonic() + 200
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # This machine needs no proxy.
        while True:
            try:
                request = urllib.request.Request(f"http://127.0.0.1:{self._inner}/bucket", method="PUT")
                opener.open(request, timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < end and self._process.poll() is None, log.read_text()
                time.sleep(0.1)
        self.connect()

    def connect(self) -> None:
        """Accept connections."""
        self._listener = socket.create_server(("127.0.0.1", self._port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def disconnect(self) -> None:
        """Close all connections, and refuse new ones."""
        assert self._listener is not None
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the server."""
        self.disconnect()
        self._process.kill()
        self._process.wait()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                outer, _ = listener.accept()
                inner = socket.create_connection(("127.0.0.1", self._inner))
                self._open |= {outer, inner}
                for source, target in ((outer, inner), (inner, outer)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(2**16):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Run a server; skips the test where moto is not installed (`pip install 'moto[server]'`)."""
    program = os.environ.get("WSNET_MOTO_SERVER") or shutil.which("moto_server")
    if program is None or subprocess.run([program, "--help"], capture_output=True).returncode:
        pytest.skip("needs moto_server: pip install 'moto[server]', in any environment")
    server = S3Server(program, folder / "moto.log")
    try:
        yield server
    finally:
        server.close()
