"""Seeds of one setting trained side by side have the records and checkpoints of the trials run alone."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.training.trials import config, numbers, trial
from wsnet.config import TrialConfig
from wsnet.storage.trial_directory import Record
from wsnet.training import Checkpoint, StackedTraining, Training, Trial, why_not_stacked
from wsnet.training.fit import ending

SEEDS = (3, 1, 4)

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "batch of 1": {"train": {"batch_size": 1}, "model": {"norm": {"name": "group", "groups": 2}}},
    "adam, online": {"model": {"norm": {"name": "online"}}, "optim": {"name": "adam", "lr": 0.01}},
    "clipped values": {"optim": {"clip_grad_value": 0.1}},
    "lars": {"optim": {"name": "lars", "lr": 1.0}},
    "clipped": {"optim": {"clip_grad_norm": 0.5}},
    "average of the weights": {"train": {"ema": {"decay": 0.9}}},
    "recomputed statistics": {"train": {"evaluation_statistics": {"name": "recomputed", "micro_batch_size": 16}}},
    "micro-batches in a loop": {
        "model": {"weight": "standardized", "norm": {"name": "batch_renorm", "warmup_steps": 0}},
        "train": {"micro_batch_size": 8},
    },
    "micro-batches as groups": {"train": {"micro_batch_size": 8}},
    "mixed images, smoothed labels": {
        "data": {"augment": {"cutmix": {"alpha": 1.0}}},
        "train": {"label_smoothing": 0.1},
    },
    "two views": {"data": {"augment": {"dual_cutout": {"size": 3, "alpha": 0.1}}}},
    "dropout": {"model": {"name": "wrn", "depth": 10, "widening": 1, "dropout": 0.3}},
    "initialized from data": {
        "model": {"weight": "normalized", "weight_init": "data_dependent", "norm": {"name": "none"}},
        "optim": {"lr": 0.01},
    },
    "checkpointed": {"model": {"checkpointing": True, "norm": {"name": "online"}}},
}


def of(setting: dict[str, Any], seed: int) -> Trial:
    """A trial of `config` with other options; a section with a name replaces the whole section."""
    data = config().model_dump(mode="json")
    for name, options in setting.items():
        data[name] = options if "name" in options else {**data[name], **options}
    return Trial.prepare(TrialConfig.model_validate({**data, "seed": seed}))


def seeds(**setting: Any) -> list[Trial]:
    """The trial of each seed."""
    return [of(setting, seed) for seed in SEEDS]


def assert_close_records(found: Sequence[Record], expected: Sequence[Record]) -> None:
    """Losses agree up to rounding, errors up to one image whose two best guesses are as good."""
    for one, other in zip(numbers(list(found)), numbers(list(expected)), strict=True):
        assert one.keys() == other.keys()
        for key, value in other.items():
            assert one[key] == pytest.approx(value, rel=2e-3, abs=1.1 if key.endswith("_error") else 1e-6), key


def assert_close_checkpoint(found: Checkpoint, expected: Checkpoint) -> None:
    assert (found.trial_id, found.epoch, found.step) == (expected.trial_id, expected.epoch, expected.step)
    for name in ("model", "optimizer", "ema"):
        torch.testing.assert_close(getattr(found, name), dict(getattr(expected, name)), rtol=2e-3, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_records_and_checkpoints_are_those_of_the_trials_run_alone(setting: dict[str, Any]) -> None:
    trials = seeds(**setting)
    alone, together = [Training(each) for each in trials], StackedTraining(trials)
    assert_close_records(list(together.train_epoch().values()), [each.train_epoch() for each in alone])
    for number, each in enumerate(alone):
        assert_close_checkpoint(together.checkpoint(number, []), each.checkpoint([]))


def test_a_stack_continues_plain_trials_and_plain_trials_continue_a_stack() -> None:
    trials = seeds(optim={"name": "adam", "lr": 0.01}, train={"ema": {"decay": 0.9}})
    alone = [Training(each) for each in trials]
    first = [each.train_epoch() for each in alone]
    together = StackedTraining(trials, [each.checkpoint([record]) for each, record in zip(alone, first, strict=True)])
    assert together.epoch == 1
    second = [each.train_epoch() for each in alone]
    assert_close_records(list(together.train_epoch().values()), second)
    third = [each.train_epoch() for each in alone]
    back = [Training(each, together.checkpoint(number, [])) for number, each in enumerate(trials)]
    assert_close_records([each.train_epoch() for each in back], third)


@pytest.mark.parametrize("norm", ["batch", "online"])
def test_a_diverged_replicate_has_its_own_record_and_changes_no_other(norm: str) -> None:
    setting = {"model": {"norm": {"name": norm}}, "optim": {"clip_grad_norm": 1.0}, "train": {"batch_size": 1}}
    trials = seeds(**setting)
    starts = [Training(each).checkpoint([]) for each in trials]
    sound = StackedTraining(trials, starts).train_epoch()
    poisoned = {**starts[1].model, "fc.bias": torch.full((10,), math.nan)}
    starts[1] = replace(starts[1], model=poisoned)
    beside, alone = StackedTraining(trials, starts), Training(trials[1], starts[1])
    found = beside.train_epoch()
    assert numbers([found[0], found[2]]) == numbers([sound[0], sound[2]])
    (expected,), (record,) = numbers([alone.train_epoch()]), numbers([found[1]])
    assert math.isnan(record["train/loss"]) and record == pytest.approx(expected, nan_ok=True)
    status = ending(trials[1].config.train, [record])
    assert status is not None and status.status == "diverged"


def test_large_gradients_of_one_replicate_do_not_clip_the_others() -> None:
    trials = seeds(optim={"clip_grad_norm": 1e3, "weight_decay": 0.0})
    starts = [Training(each).checkpoint([]) for each in trials]
    expected = StackedTraining(trials, starts).train_epoch()
    starts[1] = replace(starts[1], model={**starts[1].model, "fc.weight": 1e6 * starts[1].model["fc.weight"]})
    found = StackedTraining(trials, starts).train_epoch()
    assert numbers([found[0], found[2]]) == numbers([expected[0], expected[2]])


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"train": {"diagnostics": True}}, "train.diagnostics measures"),
        ({"train": {"checkpoint_steps": 2}}, "train.checkpoint_steps saves"),
    ],
)
def test_what_cannot_be_stacked_says_why(sections: dict[str, Any], reason: str) -> None:
    assert str(why_not_stacked(config(**sections))).startswith(reason)
    with pytest.raises(ValueError, match=f"these trials cannot be stacked: {reason}"):
        StackedTraining([trial(**sections, seed=seed) for seed in SEEDS])


def test_several_workers_are_not_stacked() -> None:
    assert why_not_stacked(config()) is None
    assert str(why_not_stacked(config(), workers=2)).startswith("each trial has 2 workers")


def test_trials_that_differ_otherwise_or_start_from_different_epochs_are_refused() -> None:
    trials = seeds()
    with pytest.raises(ValueError, match="must differ in their seeds only"):
        StackedTraining([trials[0], trial(optim={"lr": 0.2}, seed=1)])
    training = Training(trials[0])
    starts = [training.checkpoint([])]
    training.train_epoch()
    with pytest.raises(ValueError, match="must start after the same whole epoch, but got 0, 1"):
        StackedTraining(trials[:2], [*starts, training.checkpoint([])])
