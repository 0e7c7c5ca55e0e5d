"""`execution.deterministic`: which kernels are asked for, and that a trial on a GPU repeats to the bit."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.utils import deterministic as memory

from tests.training.trials import assert_same_checkpoint, config, last, numbers, trained, trial
from wsnet.config import TrialConfig
from wsnet.training import Trial, TrialError
from wsnet.training.execution import applied, execution_record, fix_cublas_workspace

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
MODES = ["auto", True, False]


def switches() -> dict[str, bool]:
    return {
        "asked": torch.are_deterministic_algorithms_enabled(),
        "warns": torch.is_deterministic_algorithms_warn_only_enabled(),
        "fills": memory.fill_uninitialized_memory,
        "cudnn": torch.backends.cudnn.deterministic,
    }


def on_gpu(mode: Any) -> Any:
    """A configuration whose execution is settled on a GPU; torch's switches are there without one, too."""
    return config(execution={"device": "cuda", "deterministic": mode})


def without_a_deterministic_kernel() -> None:
    """An operation that has none on CPUs either."""
    pooled, places = F.max_pool2d(torch.rand(1, 1, 4, 4), 2, return_indices=True)
    F.max_unpool2d(pooled, places, 2)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("auto", {"asked": True, "warns": True, "fills": False, "cudnn": True}),
        (True, {"asked": True, "warns": False, "fills": False, "cudnn": True}),
        (False, {"asked": False, "warns": False, "fills": False, "cudnn": False}),
    ],
)
def test_a_trial_on_a_gpu_switches_torch_and_puts_it_back(mode: Any, expected: dict[str, bool]) -> None:
    before = switches()
    with applied(on_gpu(mode)):
        assert switches() == expected
    assert switches() == before


@pytest.mark.parametrize("mode", MODES)
def test_what_was_switched_is_put_back_after_a_crash(mode: Any) -> None:
    before = switches()
    with pytest.raises(KeyError), applied(on_gpu(mode)):
        raise KeyError
    assert switches() == before


def test_a_callers_own_switches_are_back_afterwards() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        before = switches()
        with applied(on_gpu(True)):
            pass
        assert switches() == before
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_switched_on_a_cpu(mode: Any, tmp_path: Path) -> None:
    before = {**switches(), "cudnn": mode is not False}
    with applied(config(execution={"deterministic": mode})):
        assert switches() == before
    trained(trial(train={"epochs": 1}), tmp_path / "default")
    trained(trial(train={"epochs": 1}, execution={"deterministic": mode}), tmp_path / "asked")
    assert_same_checkpoint(last(tmp_path / "asked"), last(tmp_path / "default"))


def test_an_operation_without_a_deterministic_kernel_is_refused_where_all_must_have_one() -> None:
    told = r"execution.deterministic=true needs .* has none for max_unpool.*; use 'auto'"
    with pytest.raises(TrialError, match=told), applied(on_gpu(True)):
        without_a_deterministic_kernel()


@pytest.mark.parametrize("mode", ["auto", False])
def test_an_operation_without_a_deterministic_kernel_passes_silently_otherwise(mode: Any) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with applied(on_gpu(mode)):
            without_a_deterministic_kernel()
    assert warned == []


def test_any_other_error_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match=r"shape") as error, applied(on_gpu(True)):
        torch.rand(3) @ torch.rand(4, 5)
    assert not isinstance(error.value, TrialError)


def test_cublas_is_given_a_workspace_of_fixed_size_on_a_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 1)
    name = "CUBLAS_WORKSPACE_CONFIG"
    for device, mode, given, found in [
        ("cpu", True, None, None),
        ("cuda", False, None, None),
        ("cuda", True, None, ":4096:8"),
        ("cuda", "auto", None, ":4096:8"),
        ("cuda", "auto", ":16:8", ":16:8"),
    ]:
        monkeypatch.delenv(name, raising=False)
        if given is not None:
            monkeypatch.setenv(name, given)
        of = config(execution={"device": device, "deterministic": mode})
        fix_cublas_workspace(of.execution)
        record = execution_record(of)
        assert (record["cublas_workspace"], record["deterministic"]) == (found, mode)


def test_a_resumed_trial_keeps_what_it_began_with(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(record: Any) -> None:
        raise Stop

    with pytest.raises(Stop):
        trained(trial(execution={"deterministic": False}), tmp_path, report=stop)
    trained(trial(), tmp_path)
    assert json.loads((tmp_path / "execution.json").read_text())["deterministic"] is False
    assert "deterministic: false" in (tmp_path / "trial.yaml").read_text()


@pytest.mark.slow
def test_a_trial_begun_by_an_older_version_goes_on(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(record: Any) -> None:
        raise Stop

    straight = trained(trial(), tmp_path / "straight")
    with pytest.raises(Stop):
        trained(trial(), tmp_path / "old", report=stop)
    file = tmp_path / "old" / "execution.json"
    record = json.loads(file.read_text())
    del record["deterministic"], record["cublas_workspace"]
    file.write_text(json.dumps(record))
    assert numbers(trained(trial(), tmp_path / "old").records) == numbers(straight.records)


@needs_gpu
@pytest.mark.parametrize("mode", ["auto", True])
@pytest.mark.parametrize(
    "options",
    [
        {"norm": {"name": "batch"}},
        {"norm": {"name": "group", "groups": 8}, "weight": "standardized"},
        {"norm": {"name": "online"}},
    ],
    ids=["batch", "group-ws", "online"],
)
def test_a_trial_on_a_gpu_repeats_to_the_bit(tmp_path: Path, options: dict[str, Any], mode: Any) -> None:
    augment = {"crop_padding": 1, "flip": True, "mixup": {}}
    of = config(
        data={"augment": augment},
        train={"epochs": 2},
        execution={"device": "cuda", "memory_format": "channels_last", "deterministic": mode},
    ).model_dump(mode="json")
    of["model"] = {"name": "resnet", "depth": 18, "stem": "imagenet", **options}
    once = Trial.prepare(TrialConfig.model_validate(of))
    for folder in ("a", "b"):
        trained(once, tmp_path / folder)
    assert_same_checkpoint(last(tmp_path / "a"), last(tmp_path / "b"))


@needs_gpu
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("pool", [{"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": 2, "stride": 2}])
def test_the_gradient_of_a_max_pool_repeats_on_a_gpu(layout: torch.memory_format, pool: dict[str, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(32, 64, 57, 57, generator=generator).relu().cuda().to(memory_format=layout).requires_grad_()
    with applied(on_gpu(True)):
        y = F.max_pool2d(x, **pool)
        towards = torch.randn(y.shape, generator=generator).cuda().to(memory_format=layout)
        first, *others = (torch.autograd.grad(y, x, towards, retain_graph=True)[0] for _ in range(20))
    assert all(torch.equal(first, other) for other in others)
