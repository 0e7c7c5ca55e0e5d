"""A trial that takes all the memory, on a Ray of its own that kills it early; and one whose GPU has none left."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweep.tiny import ROOT, environment, train, write

SCRIPT = """
import json, os, sys, time
from pathlib import Path

import wsnet.sweep.tuner
from tests.sweep.tiny import train, write
from wsnet.sweep.cluster.ray_session import ray_session
from wsnet.sweep.trials.trainable import train_and_log


def greedy(config, *, context):
    from ray import tune

    folder, rate = Path(context.folder), json.loads(context.configs[config["trial_id"]])["optim"]["lr"]
    pids = [int(line.split()[0]) for file in folder.glob("tries-*") for line in file.read_text().splitlines()]
    beside = sum(Path(f"/proc/{pid}").exists() for pid in pids if pid != os.getpid())
    with (folder / f"tries-{rate}").open("a") as file:
        file.write(f"{os.getpid()} {beside}\\n")
    if rate == 0.05:
        kept = []
        while True:
            kept.append(os.urandom(2**20) * 64)
    first = folder / "tries-0.05"
    while not first.exists() or Path("/proc", first.read_text().split()[0]).exists():
        time.sleep(0.1)
    train_and_log(config["trial_id"], context, tune.report)


wsnet.sweep.tuner.train_job = greedy
folder = Path(sys.argv[1])
with ray_session(address=None, cpus=2):
    resources = {"max_concurrent": 2, "max_failures": 3}
    ran = train(write(folder, grid={"optim.lr": [0.05, 0.1]}, resources=resources), folder)
tries = (folder / "tiny" / "tries-0.05").read_text().splitlines()
ends = {name: [status.status, status.message] for name, status in ran.statuses().items()}
print(json.dumps([ends, tries, ran.printed]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="needs to know how much memory is free")
def test_a_trial_that_runs_out_of_memory_ends_no_other_and_is_retried_alone(tmp_path: Path) -> None:
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    kilobytes = {line[0]: int(line[1]) for line in lines}
    free, total = kilobytes["MemAvailable:"], kilobytes["MemTotal:"]
    if free < 6e6:
        pytest.skip("needs 6 GB of free memory")
    spare = min(max(4e6, free / 2), 6e6)  # Other processes may take some of it meanwhile. To fill it takes time.
    threshold = {"RAY_memory_usage_threshold": f"{1 - (free - spare) / total:.3f}"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        env={**environment(), **threshold},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    ends, tries, printed = json.loads(done.stdout.splitlines()[-1])
    # It was not restarted beside the other, but retried once, alone. (Ray may have killed the other for it, too.)
    assert len(tries) == 2 and tries[1].endswith(" 0")
    assert "will be retried alone when the others end" in printed and printed.count("lr0.05-s0 failed: out of m") == 1
    assert ends["lr0.1-s0"] == ["finished", ""]
    status, message = ends["lr0.05-s0"]
    assert status == "failed" and re.fullmatch(r"out of memory: [0-9.]+ GB in one process", message)


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_a_trial_without_memory_on_its_gpu_is_retried_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "greedy.py").write_bytes((Path(__file__).parent / "greedy.py").read_bytes())
    cases = [{"model.norm.name": "greedy.py:Greedy", **mark} for mark in ({"model.norm.mark": str(tmp_path / "m")}, {})]
    ran = train(write(tmp_path, cases=cases, resources={"max_failures": 3}), tmp_path)
    once, always = ran.statuses().values()
    assert (once.status, always.status) == ("finished", "failed")
    assert always.message == "out of memory: 2.00 GiB more than the GPU has"
    assert ran.printed.count("out of memory: 2.00 GiB more than the GPU has; it will be retried alone") == 2
    assert ran.printed.count("failed: out of memory") == 1
