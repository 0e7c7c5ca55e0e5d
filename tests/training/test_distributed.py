"""Two real processes that train one trial together, over gloo."""

import json
from pathlib import Path

import pytest

from tests.training.test_diagnostics import assert_unchanged
from tests.training.test_random_layers import settings
from tests.training.trials import (
    assert_done,
    assert_same,
    assert_same_checkpoint,
    config,
    last,
    numbers,
    spec,
    start_child,
    trained,
)
from wsnet.config import TrialConfig
from wsnet.layers.online_norm import merged_online_state
from wsnet.storage import Folder, TrialDirectory
from wsnet.training import Trial
from wsnet.training.loop import Training

pytestmark = pytest.mark.slow

# 200 images in batches of 33: uneven shares. 68 images in batches of 67: one worker idles at the last.
GROUP = {"model": {"norm": {"name": "group", "groups": 2}}, "train": {"epochs": 2, "batch_size": 33}}
IDLE = {**GROUP, "data": {"limit": 68}, "train": {"epochs": 2, "batch_size": 67}}
BATCH = {"train": {"epochs": 2, "batch_size": 32}}
ONLINE = {"model": {"norm": {"name": "online"}}, "train": {"epochs": 2, "batch_size": 32}}
STEPS = {**ONLINE, "train": {**ONLINE["train"], "batch_size": 16, "checkpoint_steps": 4, "ema": {"decay": 0.9}}}
MICRO = {
    **GROUP,
    "train": {"epochs": 2, "batch_size": 32, "micro_batch_size": 4},
    "execution": {"micro_batches": "loop"},
}
# Clipped on the gradient of all workers and micro-batches, and averaged.
AVERAGED = {
    **MICRO,
    "train": {**MICRO["train"], "ema": {"decay": 0.9}},
    "optim": {"clip_grad_norm": 0.2, "scale_with_batch": {"rule": "linear", "base": 64}},
}
MIXED = {
    **GROUP,
    "data": {"augment": {"crop_padding": 1, "ricap": {}, "random_erasing": {}}},
    "train": {"epochs": 2, "batch_size": 33, "label_smoothing": 0.1},
}
VIEWS = {**MICRO, "data": {"augment": {"dual_cutout": {"size": 3}}}}
# Evaluated with statistics of four micro-batches, which two workers share.
RECOMPUTED = {
    "model": {"norm": {"name": "sync_batch"}},
    "train": {
        "epochs": 2,
        "batch_size": 32,
        "ema": {"decay": 0.8},
        "evaluation_statistics": {"name": "recomputed", "images": 50, "micro_batch_size": 12},
    },
}
# Random numbers of layers.
WRN = settings("wrn", norm={"name": "group", "groups": 2}, checkpointing=True)
SHAKE_SHAKE = settings("shake_shake", norm={"name": "group", "groups": 2})
LAYERS = {**GROUP, "train": {"epochs": 2, "batch_size": 32, "diagnostics": True}}


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of trials that two processes have trained."""
    folder = tmp_path_factory.mktemp("together")
    reports = {"reports": f"{folder}/{{rank}}.json"}
    specs = [
        spec(config(**GROUP), folder / "group", threads=[1, 2], **reports),
        spec(config(**IDLE), folder / "idle"),
        spec(config(**BATCH), folder / "batch"),
        spec(config(**BATCH), folder / "stopped", stop_after=1),
        spec(config(**BATCH), folder / "stopped"),
        spec(config(**ONLINE), folder / "online"),
        spec(config(**ONLINE), folder / "online-stopped", stop_after=1),
        spec(config(**ONLINE), folder / "online-stopped"),
        spec(config(**MICRO), folder / "micro"),
        spec(config(**STEPS), folder / "steps"),
        spec(config(**STEPS), folder / "steps-stopped", stop_at=[2, 5]),
        spec(config(**STEPS), folder / "steps-stopped"),
        spec(config(**AVERAGED), folder / "averaged"),
        spec(config(**MIXED), folder / "mixed"),
        spec(config(**VIEWS), folder / "views"),
        spec(config(**RECOMPUTED), folder / "recomputed"),
        spec(WRN, folder / "wrn"),
        spec(SHAKE_SHAKE, folder / "shake_shake"),
        spec(config(**LAYERS), folder / "layers"),
        spec(config(**{**LAYERS, **BATCH}), folder / "no-layers"),
    ]
    assert_done(*(start_child(*specs, rank=rank, world=2, store=folder / "store") for rank in (0, 1)))
    return folder


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("group", config(**GROUP)),
        ("idle", config(**IDLE)),
        ("micro", config(**MICRO)),
        ("averaged", config(**AVERAGED)),
        ("mixed", config(**MIXED)),
        ("views", config(**VIEWS)),
        ("recomputed", config(**RECOMPUTED)),
        ("wrn", WRN),
        ("shake_shake", SHAKE_SHAKE),
    ],
)
def test_the_records_are_those_of_one_process(together: Path, tmp_path: Path, name: str, of: TrialConfig) -> None:
    alone = numbers(trained(Trial.prepare(of), tmp_path).records)
    both = numbers(TrialDirectory(Folder(together / name)).records())
    assert [record.keys() for record in both] == [record.keys() for record in alone]
    assert ("test_ema/loss" in both[0]) == (name in ("averaged", "recomputed"))
    for one, other in zip(both, alone, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_every_rank_reports_and_only_one_writes(together: Path) -> None:
    reports = [json.loads((together / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert numbers(reports[0]) == numbers(reports[1])
    assert reports[0] == TrialDirectory(Folder(together / "group")).records()
    execution = json.loads((together / "group" / "execution.json").read_text())
    assert (execution["workers"], execution["threads"]) == (2, 1)


def test_running_statistics_are_the_mean_of_the_workers(together: Path) -> None:
    checkpoint = last(together / "batch")
    training = Training(Trial.prepare(config(**BATCH)), checkpoint)
    # Each worker evaluated its own half with its own statistics; one process with the checkpoint's finds the same.
    measured = training.evaluation.measure(training.epoch)["validation"].named("validation")
    assert measured == pytest.approx({key: checkpoint.records[-1][key] for key in measured}, rel=1e-5)


def test_two_workers_stopped_after_an_epoch_go_on_exactly(together: Path) -> None:
    assert_same_checkpoint(last(together / "stopped"), last(together / "batch"))


def test_each_worker_keeps_its_own_stream_of_online_norm_and_the_checkpoint_has_all_of_them(together: Path) -> None:
    checkpoint = last(together / "online")
    first, second = checkpoint.streams
    assert any(not first[name].equal(second[name]) for name in first)
    merged = merged_online_state([first, second])
    assert_same({name: checkpoint.model[name] for name in merged}, merged)
    training = Training(Trial.prepare(config(**ONLINE)), checkpoint)
    measured = training.evaluation.measure(training.epoch)["validation"].named("validation")
    assert measured == pytest.approx({key: checkpoint.records[-1][key] for key in measured}, rel=1e-5)


def test_streams_of_online_norm_go_on_exactly_after_a_stop(together: Path) -> None:
    one, other = last(together / "online-stopped"), last(together / "online")
    assert_same_checkpoint(one, other)
    assert_same(one.streams, other.streams)


def test_workers_measure_the_layers_of_the_whole_batch_together(together: Path, tmp_path: Path) -> None:
    assert_unchanged(together / "layers", together / "no-layers")
    alone = trained(Trial.prepare(config(**LAYERS)), tmp_path).records[0]
    both = last(together / "layers").records[0]
    layers = [key for key in alone if key.startswith("layers/")]
    assert {key: both[key] for key in layers} == pytest.approx({key: alone[key] for key in layers}, rel=0.02)


def test_all_workers_stop_at_the_same_step_if_one_of_them_diverges(together: Path) -> None:
    assert [json.loads((together / f"store.{rank}.json").read_text())["stops"] for rank in (0, 1)] == [75, 75]


def test_workers_go_on_exactly_from_the_middle_of_an_epoch(together: Path) -> None:
    one, other = last(together / "steps-stopped"), last(together / "steps")
    assert_same_checkpoint(one, other)
    assert_same(one.streams, other.streams)


def test_buffers_are_averaged_and_sums_are_summed(together: Path) -> None:
    for rank in (0, 1):
        found = json.loads((together / f"store.{rank}.json").read_text())
        del found["stops"]
        assert found == {"running_mean": [1.5, 7.5], "num_batches_tracked": 7, "sum": 3.0}
