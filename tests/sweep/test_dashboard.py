"""Ray starts without its dashboard, which is started once trials run."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import threading, time, urllib.error, urllib.request
from pathlib import Path
from wsnet.sweep.cluster.ray_session import ray_session
from wsnet.sweep.signals import _descendants

def services():
    commands = []
    for process in _descendants():
        try:
            commands.append(Path(f"/proc/{process}/cmdline").read_bytes().decode())
        except OSError:
            pass
    names = ("dashboard/dashboard.py", "autoscaler", "log_monitor.py", "gcs_server", "raylet/raylet")
    return [name for name in names if any(name in command for command in commands)]

def assert_nothing_is_left():
    deadline = time.monotonic() + 20
    while _descendants() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert services() == [] and not [thread for thread in threading.enumerate() if "dashboard" in thread.name]

told = []
with ray_session(address=None, cpus=1) as session:
    assert services() == ["gcs_server", "raylet/raylet"], services()
    session.late_dashboard.open(told.append)
    session.late_dashboard.open(lambda url: told.append("again"), after=3600)
    session.late_dashboard.wait()
    (url,) = told
    try:
        urllib.request.urlopen(url, timeout=60)
    except urllib.error.HTTPError as error:
        assert error.code in (401, 403), error  # It asks for a token.
    assert services() == ["dashboard/dashboard.py", "gcs_server", "raylet/raylet"], services()
assert_nothing_is_left()

with ray_session(address=None, cpus=1) as session:
    session.late_dashboard.open(told.append)
    while "dashboard/dashboard.py" not in services():
        time.sleep(0.01)
assert_nothing_is_left()
assert told == [url], "it is ended with Ray, before it answers"
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_dashboard_starts_when_asked_for_and_ends_with_ray() -> None:
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
