"""What each node of a cluster needs before a sweep starts on it, and what the driver brings."""

import os
from pathlib import Path

import pytest
from ray.train.v2._internal.constants import get_env_vars_to_propagate

from tests.sweep.tiny import ROOT, write
from wsnet.config import read_sweep
from wsnet.config.norm import OwnNormConfig
from wsnet.config.own_class import read_source
from wsnet.config.reading.own_files import data_config
from wsnet.storage import Folder
from wsnet.sweep.cluster.joining import check_storage
from wsnet.sweep.cluster.node_checks import NodeError, _code, check_nodes, missing_here
from wsnet.sweep.cluster.ray_session import Node, Session
from wsnet.sweep.planning.plan import make_plan
from wsnet.sweep.trials.context import SweepContext, prepare_trial
from wsnet.sweep.trials.late_node import lacking_node
from wsnet.sweep.trials.trainable import _tell_the_address

OWN = Path(__file__).parents[1] / "own_norms.py"


def context(folder: Path, **changes: object) -> SweepContext:
    made: dict[str, object] = {
        "folder": str(folder),
        "data_root": str(folder),
        "configs": {},
        "workers": 1,
        "cpus": 1,
        "gpus": 0,
        "max_failures": 0,
        "scratch": str(folder),
    }
    return SweepContext(**{**made, **changes})  # type: ignore[arg-type]


def test_a_node_that_does_not_see_the_results_is_told_apart(tmp_path: Path) -> None:
    said = missing_here(context(tmp_path), _code(), {}, {})
    assert said is not None and said.startswith(f"it does not see the results in {tmp_path}; --storage must be")
    Folder(tmp_path).write("sweep.json", b"{}")
    assert missing_here(context(tmp_path), _code(), {}, {}) is None


def test_a_node_with_another_version_of_wsnet_is_told_apart(tmp_path: Path) -> None:
    said = missing_here(context(tmp_path), "another", {}, {})
    assert said is not None and said.startswith(
        f"its {ROOT / 'wsnet'} is not the driver's wsnet; update it, or move it"
    )


@pytest.mark.slow
def test_a_node_without_the_images_or_with_others_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Folder(tmp_path).write("sweep.json", b"{}")
    monkeypatch.setenv("WSNET_DATA", "/dev/null/images")  # A folder that can not be made: nothing is downloaded.
    here = context(tmp_path, is_data_root_of_node=True)
    said = missing_here(here, _code(), {data_config(name="cifar10"): "hash"}, {})
    assert said is not None and "\n" not in said
    assert "the images of 'cifar10' are not in '/dev/null/images' and could not be downloaded" in said
    assert said.endswith("; put them there, start Ray on that node with WSNET_DATA set to the folder that has them")
    said = missing_here(here, _code(), {data_config(name="digits"): "another hash"}, {})
    assert said is not None and "its images of 'digits' in /dev/null/images are others than the driver's" in said


def test_nothing_is_downloaded_on_a_node_that_joined_later(tmp_path: Path) -> None:
    Folder(tmp_path).write("sweep.json", b"{}")
    wanted = {data_config(name="cifar10"): "hash"}
    said = missing_here(context(tmp_path), _code(), wanted, {}, downloads=False)
    assert said is not None
    assert said.startswith(
        f"the images of 'cifar10' are not in {str(tmp_path)!r}; put them there, start Ray on that node"
    )


def test_a_trials_last_error_says_whether_its_node_lacked_something() -> None:
    lacking = (
        "Failure # 1 (occurred at 9:00)\n...LateNodeError: 0a1b: node gpu-2 (10.0.0.7): the images are not there\n"
    )
    assert lacking_node(lacking) == ("0a1b", "node gpu-2 (10.0.0.7): the images are not there")
    assert lacking_node(f"{lacking}Failure # 2 (at 9:01)\nRuntimeError: other\n") is None
    assert lacking_node("") is None


@pytest.mark.parametrize(("of_node", "root"), [(True, "/node"), (False, "/driver")])
def test_the_data_folder_of_a_node_counts_unless_one_is_given(
    of_node: bool, root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = context(tmp_path, data_root="/driver", is_data_root_of_node=of_node)
    monkeypatch.setenv("WSNET_DATA", "/node")
    assert here.root == Path(root)
    monkeypatch.delenv("WSNET_DATA")
    assert here.root == Path("/driver")


@pytest.mark.slow
def test_a_node_is_asked_by_a_task_that_runs_on_it_and_refused_by_its_name(shared_ray: Session, tmp_path: Path) -> None:
    (setting,) = read_sweep(str(write(tmp_path))).settings
    (here,) = shared_ray.nodes
    node = Node(cpus=2, name="gpu-2 (10.0.0.7)", node_id=here.node_id)
    gone = Node(cpus=2, name="gpu-3 (10.0.0.8)", node_id="a" * 56)
    with pytest.raises(NodeError, match=r"^node gpu-2 \(10\.0\.0\.7\): it does not see the results in .*, or leave "):
        check_nodes([node, gone], context(tmp_path), [setting.config])
    Folder(tmp_path).write("sweep.json", b"{}")
    check_nodes([node, gone], context(tmp_path), [setting.config])


@pytest.mark.slow
def test_processes_of_a_trial_know_their_cluster_also_beside_a_later_one(
    cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setenv("RAY_ADDRESS", "")
    _tell_the_address()
    assert get_env_vars_to_propagate()["RAY_ADDRESS"] == cluster

    def known() -> str:
        from ray._private.services import canonicalize_bootstrap_address_or_die

        return str(canonicalize_bootstrap_address_or_die(None))

    # Ray Train gives these variables to its controller, whose cleaner has them too, and asks in this way.
    task = ray.remote(num_cpus=0, max_calls=1, runtime_env={"env_vars": get_env_vars_to_propagate()})(known)
    assert ray.get(task.remote()) == cluster


def test_a_norm_of_ones_own_needs_no_file_on_the_node(tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.write_text(OWN.read_text() + f"\n# of {tmp_path}\n")  # Another test's content may have been brought already.
    path = write(tmp_path, cases=[{"model.norm.name": "mine.py:PowerNorm", "model.norm.power": 0.5}])
    (trial,) = make_plan(read_sweep(str(path), []), str(path), root=tmp_path).trials
    trial_id, configs = trial.entry.trial_id, {trial.entry.trial_id: trial.config.model_dump_json()}
    source = own.read_bytes()
    own.unlink()
    prepare_trial(trial_id, context(tmp_path, configs=configs))
    norm = trial.config.model.norm
    assert isinstance(norm, OwnNormConfig)
    with pytest.raises(ValueError, match=r"mine\.py cannot be read"):
        read_source(norm)
    prepare_trial(trial_id, context(tmp_path, configs=configs, sources=(source,)))
    assert read_source(norm) == source


def test_results_below_the_working_directory_of_a_submitted_job_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_storage("runs")
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", '{"runtime_env": {"working_dir": "gcs://x.zip"}}')
    check_storage("/nfs/runs")
    check_storage("s3://lab/runs")
    with pytest.raises(ValueError, match="in a submitted job, --storage must be an absolute path or a URI"):
        check_storage("runs")
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", '{"runtime_env": {}}')
    check_storage(os.curdir)
