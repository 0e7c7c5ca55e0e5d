"""Workers of a local Ray are forked from a process that has imported torch and Ray Tune."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wsnet.sweep.cluster import warm_start
from wsnet.sweep.cluster.ray_session import Session

REPORTER = """
import os, sys
print(sorted({"torch", "ray", "wsnet.training"} & set(sys.modules)), sys.argv, os.getcwd(), os.environ.get("ASKED"))
print("an error", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that says what it finds."""
    path = tmp_path / "program.py"
    path.write_text(REPORTER)
    return path


def ask(client: list[str], program: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run a program as Ray would."""
    command = [*client, str(program), "0"]
    environ = {**os.environ, **environ}
    return subprocess.run(command, capture_output=True, text=True, cwd=program.parent, env=environ, timeout=120)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_a_program_finds_torch_and_ray_loaded_and_all_else_as_in_a_new_process(program: Path, tmp_path: Path) -> None:
    with warm_start.warm_starts(str(tmp_path)) as server:
        server.ray_runs("01000000", os.getpid())
        client = server.client
        for asked in ("one", "two"):
            done = ask(client, program, ASKED=asked)
            said = f"['ray', 'torch', 'wsnet.training'] {[str(program), '0']} {program.parent} {asked}\n"
            assert (done.returncode, done.stdout, done.stderr) == (0, said, "an error\n")
    done = ask(client, program)
    assert done.stdout.startswith("[] "), "without the server, Python runs the program itself"
    assert done.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_a_worker_of_ray_is_forked_and_its_end_does_not_end_the_server(shared_ray: Session) -> None:
    import ray

    @ray.remote(num_cpus=1)
    class Worker:
        def facts(self) -> tuple[int, int, bool, bool]:
            return os.getpid(), os.getppid(), "torch" in sys.modules, os.getpgid(0) == os.getpid()

    def facts() -> Any:
        worker = Worker.remote()
        try:
            return ray.get(worker.facts.remote(), timeout=120)  # type: ignore[attr-defined]
        finally:
            ray.kill(worker)

    _, server, has_torch, leads_its_group = facts()
    command = Path(f"/proc/{server}/cmdline").read_text()
    assert "warm_start.py" in command
    assert has_torch and leads_its_group
    assert facts()[1] == server, "the end of a worker has not ended the server"


@pytest.mark.slow
def test_what_is_imported_before_forking_touches_no_gpu() -> None:
    code = f"""
import importlib, sys, torch
def fail(*_): raise SystemExit("a GPU was touched")
torch._C._cuda_getDeviceCount = torch._C._cuda_init = fail
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
for module in {(*warm_start.FIRST, *warm_start.WITH_RAY)!r}:
    importlib.import_module(module)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSNET_WARM_START", "0")
    with warm_start.warm_starts(str(tmp_path)) as server:
        server.ray_runs("01000000", 1)
        assert server.worker("01000000", "default_worker.py") == "default_worker.py"
        assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_two_forked_processes_do_not_share_rays_random_ids(tmp_path: Path) -> None:
    program = tmp_path / "ids.py"
    program.write_text("from ray._raylet import UniqueID\nprint(UniqueID.from_random().hex())\n")
    with warm_start.warm_starts(str(tmp_path)) as server:
        server.ray_runs("01000000", os.getpid())
        client = server.client
        probe = tmp_path / "probe.py"
        probe.write_text(REPORTER)
        assert ask(client, probe).stdout.startswith("['ray', 'torch', 'wsnet.training']"), "they are forked"
        ids = [ask(client, program).stdout for _ in range(2)]
    assert len(ids[0]) > 40 and ids[0] != ids[1]
