"""`execution.compile: auto` in a sweep: decided once for each setting, before its first trial starts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.sweep.tiny import train, write
from wsnet.config import read_sweep
from wsnet.storage import Folder, Status, trial_directory
from wsnet.sweep.cluster.compiled_settings import compiled_settings
from wsnet.sweep.cluster.ray_session import Session
from wsnet.sweep.cluster.resources import Allocation
from wsnet.sweep.planning import estimate as estimating
from wsnet.sweep.planning.estimate import Estimate
from wsnet.sweep.planning.plan import Plan, make_plan
from wsnet.sweep.resume import read_states
from wsnet.sweep.trials.context import SweepContext
from wsnet.training import compiling

ONE_CPU = Allocation(cpus=1, gpus=0, concurrent=2)


def auto(tmp_path: Path, **changes: Any) -> Path:
    """Two settings of two seeds."""
    file = write(tmp_path, **{"grid": {"optim.lr": [0.1, 0.2]}, "seeds": 2, **changes})
    content = json.loads(file.read_text())
    content["base"]["execution"] = {"compile": "auto"}
    file.write_text(json.dumps(content))
    return file


def made(tmp_path: Path, **changes: Any) -> Plan:
    file = auto(tmp_path, **changes)
    return make_plan(read_sweep(str(file), []), file.name, root=tmp_path)


def compiled(plan: Plan, folder: Folder, allocation: Allocation = ONE_CPU) -> list[float]:
    """Learning rates of the settings that are compiled."""
    found = compiled_settings(plan, read_states(plan, folder), folder, allocation)
    return sorted({t.config.optim.lr for t in plan.trials if t.entry.setting_id in found})


@pytest.fixture
def estimated(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """Makes every second setting's trials take a day, and the others a second; returns what was estimated."""
    asked: list[list[float]] = []

    def estimate(plan: Plan, **how: Any) -> Estimate:
        rates = {t.entry.setting_id: t.config.optim.lr for t in plan.trials}
        asked.append(list(rates.values()))
        times = {setting_id: 86_400.0 if lr == 0.2 else 1.0 for setting_id, lr in rates.items()}
        return Estimate(per_trial=times, devices={}, checkpoint_bytes=0)

    monkeypatch.setattr(estimating, "estimate", estimate)
    monkeypatch.setattr(compiling, "can_compile", lambda config: True)
    return asked


def test_only_settings_whose_trials_take_long_are_compiled_and_that_is_kept(
    tmp_path: Path, estimated: list[list[float]]
) -> None:
    plan, folder = made(tmp_path), Folder(tmp_path / "sweep")
    assert compiled(plan, folder) == [0.2] and estimated == [[0.1, 0.2]]
    assert compiled(plan, folder) == [0.2] and len(estimated) == 1, "kept"
    more = made(tmp_path, grid={"optim.lr": [0.1, 0.2, 0.3]})
    assert compiled(more, folder) == [0.2] and estimated[1:] == [[0.3]], "only the new one is decided"


def test_a_setting_goes_on_as_its_first_trial_was_computed(tmp_path: Path, estimated: list[list[float]]) -> None:
    plan, folder = made(tmp_path), Folder(tmp_path / "sweep")
    for trial in plan.trials:
        if trial.config.seed == 0:
            directory = trial_directory(folder, trial.entry.trial_id)
            directory.write_execution({"compile": trial.config.optim.lr == 0.1})
            directory.write_status(Status(status="running", epoch=0))
    assert compiled(plan, folder) == [0.1] and estimated == []


def test_a_damaged_file_of_decisions_is_made_again(tmp_path: Path, estimated: list[list[float]]) -> None:
    plan, folder = made(tmp_path), Folder(tmp_path / "sweep")
    folder.write("compiled.json", b"{damaged")
    assert compiled(plan, folder) == [0.2]
    assert len(json.loads(folder.read("compiled.json") or b"")) == 2


@pytest.mark.parametrize(
    ("allocation", "resources"),
    [(Allocation(cpus=1, gpus=1, concurrent=1), {}), (ONE_CPU, {"workers": 2})],
    ids=["on a GPU", "on two workers"],
)
def test_nothing_is_compiled_or_measured(
    tmp_path: Path, estimated: list[list[float]], allocation: Allocation, resources: dict[str, int]
) -> None:
    plan = made(tmp_path, resources=resources)
    assert compiled(plan, Folder(tmp_path / "sweep"), allocation) == [] and estimated == []


def test_a_sweep_that_does_not_ask_for_it_decides_nothing(tmp_path: Path, estimated: list[list[float]]) -> None:
    file = write(tmp_path)
    plan = make_plan(read_sweep(str(file), []), file.name, root=tmp_path)
    assert compiled(plan, Folder(tmp_path / "sweep")) == [] and estimated == []
    assert not (tmp_path / "sweep" / "compiled.json").exists()


@pytest.mark.parametrize(("can", "expected"), [(True, True), (False, False)])
def test_a_node_without_a_compiler_trains_eagerly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can: bool, expected: bool
) -> None:
    plan = made(tmp_path)
    monkeypatch.setattr(compiling, "can_compile", lambda config: can)
    first, *_ = plan.trials
    trial_id, setting_id = first.entry.trial_id, first.entry.setting_id
    context = SweepContext(
        folder=str(tmp_path),
        data_root=str(tmp_path),
        configs={trial_id: first.config.model_dump_json()},
        settings={trial_id: setting_id},
        compiled=frozenset({setting_id}),
        workers=1,
        cpus=1,
        gpus=0,
        max_failures=0,
        scratch="",
    )
    assert context.of(trial_id).config(trial_id).execution.compile is expected
    assert replace(context, compiled=frozenset()).config(trial_id).execution.compile is False


@pytest.mark.slow
def test_trials_of_a_second_are_not_compiled_by_auto(tmp_path: Path, shared_ray: Session) -> None:
    ran = train(auto(tmp_path, seeds=1), tmp_path)
    assert set(json.loads((tmp_path / "tiny" / "compiled.json").read_bytes()).values()) == {False}
    executions = [ran.directory(trial_id).execution() for trial_id in ran.trial_ids]
    assert [execution["compile"] for execution in executions if execution is not None] == [False, False]
