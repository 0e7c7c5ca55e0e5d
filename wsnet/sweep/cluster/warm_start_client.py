"""Run a Python program in a process that `warm_start` forks, or else in this one.

    python -I -S warm_start_client.py ADDRESS PROGRAM [ARGUMENT ...]

Imports little, since it runs at the start of every worker.
"""

import json
import os
import socket
import struct
import sys


def main(address: str, program: list[str]) -> None:
    """Ask for the process and wait for its end."""
    asked = json.dumps({"argv": program, "cwd": os.getcwd(), "environ": dict(os.environ)}).encode()
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
        socket.send_fds(connection, [struct.pack("!Q", len(asked))], [0, 1, 2])
        connection.sendall(asked)
        has_started = connection.recv(1) == b"1"
    except OSError:
        has_started = False
    if not has_started:
        os.execv(sys.executable, [sys.executable, *program])
    connection.recv(1)  # Nothing comes; the connection ends with the process.


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
