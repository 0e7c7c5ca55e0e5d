"""The files in docs/cluster: a cluster launcher's configuration, a Kubernetes manifest, a Slurm script."""

import configparser
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from ruamel.yaml import YAML

from wsnet.config import read_sweep
from wsnet.sweep.arguments import parser

ROOT = Path(__file__).parents[2]
FILES = ROOT / "docs" / "cluster"


def read(name: str) -> dict[str, Any]:
    found = YAML(typ="safe").load((FILES / name).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def parsed(words: list[str]) -> Any:
    """The options of a command that runs `run_sweep.py`, whose sweep file must be one of the repository's."""
    assert Path(words[1]).name == "run_sweep.py"
    options = parser().parse_args(words[2:])
    assert read_sweep(str(ROOT / "sweeps" / Path(options.sweep).name)).settings
    return options


def is_allowed(version: str) -> bool:
    """Whether setup.cfg allows a version of Ray."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    (ray,) = [line for line in setup["options"]["install_requires"].splitlines() if line.startswith("ray[")]
    return version in Requirement(ray).specifier


def test_the_launchers_file_is_accepted_by_rays_own_check() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(read("ray-cluster.yaml"))
    validate_config(config)
    assert config["available_node_types"]["gpu"]["min_workers"] == 2, "trials need nodes when the sweep starts"
    text = (FILES / "ray-cluster.yaml").read_text(encoding="utf-8")
    found = re.search(r"'cd wsnet && (python run_sweep.py [^']+)'", text)
    assert found is not None
    assert parsed(shlex.split(found[1])).address == "auto"


def test_the_manifest_runs_a_sweep_with_one_version_of_ray_that_is_allowed() -> None:
    job = read("ray-job.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    options = parsed(shlex.split(job["spec"]["entrypoint"]))
    assert options.address == "auto" and Path(options.storage).is_absolute()
    version = cluster["rayVersion"]
    assert is_allowed(version)
    for group in groups:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"].endswith(f":ray-{version}")
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounted.keys() == {volume["name"] for volume in pod["volumes"]}
        assert {options.storage, *(entry["value"] for entry in container["env"])} == set(mounted.values())
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert set(group["rayStartParams"]) <= {"num-cpus"}
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] == group["replicas"] <= group["maxReplicas"], "trials need nodes at the start"
    image = (FILES / "Dockerfile").read_text(encoding="utf-8")
    assert f"FROM rayproject/ray:{version}-py311-gpu\n" in image and f"-t wsnet:ray-{version} " in image


def slurm(tmp_path: Path, *arguments: str, status: int = 0) -> tuple[int, list[list[str]]]:
    """Run the Slurm script with commands that only note how they are called; gives its exit status and the calls."""
    log = tmp_path / "calls"
    note = f'printf "%s\\0" "$(basename "$0")" "$@" >> {shlex.quote(str(log))}; printf "\\n" >> {shlex.quote(str(log))}'
    names = 'if [ "$1" = show ]; then printf "node-7\\nnode-8\\n"; fi'
    for name, then in (("srun", f"exit {status}"), ("scontrol", names)):
        (tmp_path / name).write_text(f"#!/bin/bash\n{note}\n{then}\n")
        (tmp_path / name).chmod(0o755)
    job = {"SLURM_JOB_ID": "42", "SLURM_JOB_NODELIST": "node-[7-8]", "SLURM_JOB_NUM_NODES": "2"}
    done = subprocess.run(
        ["bash", str(FILES / "slurm.sh"), *arguments],
        env=job | {"SLURM_CPUS_ON_NODE": "8", "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    calls = log.read_text().splitlines() if log.exists() else []
    return done.returncode, [call.split("\0")[:-1] for call in calls]


@pytest.mark.slow
def test_the_slurm_script_is_a_valid_script_and_starts_ray_on_every_node(tmp_path: Path) -> None:
    from ray.scripts.scripts import start
    from ray.scripts.symmetric_run import curate_and_validate_ray_start_args, symmetric_run

    subprocess.run(["bash", "-n", str(FILES / "slurm.sh")], check=True)
    status, (asked, run) = slurm(tmp_path, "sweeps/cifar_batchsize.yaml", "--storage", "/shared/my runs")
    assert status == 0 and asked == ["scontrol", "show", "hostnames", "node-[7-8]"]
    ray = run[run.index("ray") :]
    assert run[: -len(ray)] == ["srun", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1"]
    separator = ray.index("--")
    assert ray[:2] == ["ray", "symmetric-run"]
    made = symmetric_run.make_context("_", ray[2:separator])
    assert (made.params["address"], made.params["min_nodes"]) == ("node-7:6379", 2)
    # Ray checks these only when it starts a node.
    node = start.make_context("_", curate_and_validate_ray_start_args(ray[2:separator]))
    assert (node.params["num_cpus"], node.params["num_gpus"]) == (8, 0)
    options = parsed(ray[separator + 1 :])
    assert (options.address, options.storage, options.budget) == ("node-7:6379", "/shared/my runs", "11.5h")


@pytest.mark.parametrize("status", [3, 1])
def test_a_slurm_job_whose_time_is_up_is_queued_again(status: int, tmp_path: Path) -> None:
    ended, calls = slurm(tmp_path, "sweeps/quickstart.yaml", status=status)
    assert ended == status
    assert (["scontrol", "requeue", "42"] in calls) == (status == 3)


def test_the_slurm_script_without_a_sweep_says_how_to_use_it(tmp_path: Path) -> None:
    assert slurm(tmp_path) == (2, [])
