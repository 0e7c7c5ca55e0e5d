"""`execution.compile: auto`, settled before a trial's first step and kept; and what compiled trials share."""

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from tests.training.trials import config, numbers, trained, trial
from wsnet.config import setting_id, trial_id
from wsnet.training import compiling
from wsnet.training.compiling import can_compile, compiled, is_worth_compiling, with_compile_settled
from wsnet.training.trial import Trial

AUTO = {"execution": {"compile": "auto"}}
EVER, NEVER = 0.0, 1e9
"""Seconds of compiling an operation, with which every trial is long enough, and none."""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced as with the C++ compiler, but run by torch's operations."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    monkeypatch.setattr(compiling, "can_compile", lambda config: True)


def executed(folder: Path) -> object:
    return json.loads((folder / "execution.json").read_text())["compile"]


def test_a_trial_is_compiled_where_that_saves_more_than_it_takes() -> None:
    # ResNet-20 has about 100 operations, which take about 70 s; compiled steps save an eighth of the time.
    assert not is_worth_compiling(500, 100) and is_worth_compiling(600, 100)
    assert not is_worth_compiling(600, 300)


def test_how_a_trial_is_compiled_is_no_part_of_its_identity_and_eager_is_the_default() -> None:
    eager, auto = config(), config(**AUTO)
    assert eager.execution.compile is False
    about = {"data_hash": "h", "workers": 1, "warm_start": None}
    assert trial_id(eager, **about) == trial_id(auto, **about)
    assert setting_id(eager, **about) == setting_id(auto, **about)


@pytest.mark.parametrize(("price", "expected"), [(EVER, True), (NEVER, False)])
def test_auto_is_settled_before_the_first_step_and_kept_when_the_trial_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None, price: float, expected: bool
) -> None:
    monkeypatch.setattr(compiling, "_PRICE", price)
    seen: list[object] = []

    def interrupted(record: object) -> None:
        seen.append(executed(tmp_path))
        if len(seen) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(trial(**AUTO), tmp_path, report=interrupted)
    monkeypatch.setattr(compiling, "_PRICE", NEVER if expected else EVER)
    trained(trial(**AUTO), tmp_path, report=interrupted)
    assert seen == [expected] * 3
    assert f"compile: {str(expected).lower()}" in (tmp_path / "trial.yaml").read_text()


def test_measuring_changes_no_bit_of_a_trial_that_stays_eager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    monkeypatch.setattr(compiling, "_PRICE", NEVER)
    auto, eager = (trained(trial(**sections), tmp_path / str(len(sections))) for sections in (AUTO, {}))
    assert numbers(auto.records) == numbers(eager.records)


def test_auto_stays_eager_on_several_workers_and_on_a_gpu(monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    def never(of: Trial) -> float:
        raise AssertionError("nothing is to be measured")

    monkeypatch.setattr(compiling, "_seconds", never)
    one = trial(**AUTO)
    assert (
        with_compile_settled(Trial(config=one.config, images=one.images, workers=2)).config.execution.compile is False
    )
    on_gpu = one.executed(one.config.execution.model_copy(update={"device": "cuda"}))
    assert with_compile_settled(on_gpu).config.execution.compile is False


def test_auto_stays_eager_without_a_compiler_or_avx512_and_with_what_may_not_compile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(Path, "is_file", lambda self: True)
    assert can_compile(config())
    assert not can_compile(config(model={"checkpointing": True}, **AUTO))
    with monkeypatch.context() as without:
        without.setattr(shutil, "which", lambda name: None)
        assert not can_compile(config())
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not can_compile(config())


def test_checkpointing_cannot_be_compiled_but_auto_leaves_it_eager() -> None:
    with pytest.raises(ValidationError, match=r"leave out execution\.compile"):
        config(model={"checkpointing": True}, execution={"compile": True})


@pytest.mark.parametrize("named", [None, "elsewhere"])
def test_compiled_steps_are_kept_in_the_cache_folder_unless_the_environment_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "environ", {**os.environ})
    os.environ.pop("TORCHINDUCTOR_CACHE_DIR", None)
    if named is not None:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = named
    compiling._share_cache()
    folder = os.environ["TORCHINDUCTOR_CACHE_DIR"]
    assert folder == named or (Path(folder).parent == tmp_path / "compiled" and Path(folder).is_dir())


def test_a_cache_folder_that_cannot_be_written_to_is_left_to_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(os, "environ", {k: v for k, v in os.environ.items() if k != "TORCHINDUCTOR_CACHE_DIR"})
    compiling._share_cache()
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ


def test_each_batch_size_is_compiled_for_itself_so_that_the_order_of_sizes_changes_no_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int | torch.SymInt] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., object]:
        sizes.extend(x.shape[0] for x in inputs if isinstance(x, torch.Tensor) and x.shape[1:] == (7,))
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    run = compiled(torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.Tanh()))
    for size in (8, 3, 8, 3):
        run(torch.randn(size, 7))
    assert [size for size in sizes if size != 5] == [8, 3]


@pytest.mark.slow
def test_a_compiled_trial_that_is_interrupted_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    sections = {"execution": {"compile": True}, "data": {"limit": 90}, "train": {"epochs": 3, "batch_size": 32}}
    whole = trained(trial(**sections), tmp_path / "whole")

    def interrupt(record: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(trial(**sections), tmp_path / "resumed", report=interrupt)
    assert numbers(trained(trial(**sections), tmp_path / "resumed").records) == numbers(whole.records)
