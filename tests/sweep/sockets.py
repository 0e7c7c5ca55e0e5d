"""The sockets on which processes listen, from /proc."""

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["LOOPBACK", "listening"]

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1, the same mapped to IPv6, and ::1."""


def listening(pids: list[int]) -> set[tuple[str, str]]:
    """Command and address, in the kernel's hexadecimal form, of each TCP socket on which a process listens."""
    addresses = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                addresses[f"socket:[{fields[9]}]"] = fields[1].partition(":")[0]
    found = set()
    for pid in pids:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            links = list(Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            continue
        for link in links:
            with suppress(OSError):  # Closed meanwhile.
                if (target := os.readlink(link)) in addresses:
                    found.add((command, addresses[target]))
    return found
