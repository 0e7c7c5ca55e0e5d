"""The training loss."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.training.test_micro_batches import after_steps
from tests.training.trials import assert_same_checkpoint, config, last, trained, trial
from wsnet.config import TrialConfig
from wsnet.data import Batch
from wsnet.storage.trial_directory import Record
from wsnet.training.loop import Training
from wsnet.training.loss import Loss, averaged_views, parts
from wsnet.training.micro_batches import plan_micro_batches

GENERATOR = torch.Generator().manual_seed(0)
LOGITS, LABELS = torch.randn(12, 5, generator=GENERATOR), torch.arange(12) % 5
IMAGES = torch.randn(12, 1, 2, 2, generator=GENERATOR)
TARGETS = torch.rand(12, 5, generator=GENERATOR).softmax(1)
MIXED = {"mixup": {"mixup": {}}, "cutmix": {"cutmix": {}}, "ricap": {"ricap": {}}}


def dual(batch: int = 6) -> Batch:
    return Batch(IMAGES[: 2 * batch], LABELS[:batch], 1.0)


def test_without_options_it_is_cross_entropy_to_the_last_bit() -> None:
    batch = Batch(IMAGES, LABELS, 1.0)
    assert torch.equal(Loss()(LOGITS, batch), F.cross_entropy(LOGITS, LABELS))
    part = Loss()(LOGITS, batch, of=36)
    assert torch.equal(part, F.cross_entropy(LOGITS, LABELS, reduction="sum") / 36)


def test_mixed_targets_weigh_the_classes() -> None:
    found = Loss()(LOGITS, Batch(IMAGES, LABELS, 1.0, TARGETS))
    torch.testing.assert_close(found, -(TARGETS * LOGITS.log_softmax(1)).sum(1).mean())


def test_label_smoothing_spreads_a_share_over_all_classes() -> None:
    found = Loss(label_smoothing=0.1)(LOGITS, Batch(IMAGES, LABELS, 1.0))
    smooth = 0.9 * F.one_hot(LABELS, 5) + 0.1 / 5
    torch.testing.assert_close(found, -(smooth * LOGITS.log_softmax(1)).sum(1).mean())


def test_two_views_are_to_agree() -> None:
    first, second = LOGITS[0::2], LOGITS[1::2]
    labels = LABELS[:6]
    both = (F.cross_entropy(first, labels) + F.cross_entropy(second, labels)) / 2
    found = Loss(consistency=0.3)(LOGITS, dual())
    torch.testing.assert_close(found, both + 0.3 * ((first - second) ** 2).mean())
    assert torch.equal(averaged_views(LOGITS, 2), (first + second) / 2) and averaged_views(LOGITS, 1) is LOGITS


@pytest.mark.parametrize(
    ("batch", "loss"),
    [
        (Batch(IMAGES, LABELS, 1.0), Loss()),
        (Batch(IMAGES, LABELS, 1.0, TARGETS), Loss(label_smoothing=0.1)),
        (dual(), Loss(consistency=0.3, label_smoothing=0.1)),
    ],
)
def test_parts_add_up_to_the_whole(batch: Batch, loss: Loss) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 5))
    whole = loss(model(batch.images), batch)
    pieces = parts(batch, 4, views=loss.views)
    assert len(pieces) == -(-len(batch.labels) // 4)
    added = [loss(model(piece.images), piece, of=len(batch.labels)) for piece in pieces]
    torch.testing.assert_close(torch.stack(added).sum(), whole)


def test_the_loss_of_a_trial_is_that_of_its_options() -> None:
    assert Loss.of(config()) == Loss()
    options = config(data={"augment": {"dual_cutout": {"size": 2, "alpha": 0.7}}}, train={"label_smoothing": 0.2})
    assert Loss.of(options) == Loss(label_smoothing=0.2, consistency=0.7)


def training(augment: dict[str, Any], **sections: Any) -> Training:
    model = {"name": "cifar_resnet", "depth": 8, "width": 4, "norm": {"name": "batch"}}
    train = {"batch_size": 24, "micro_batch_size": 8, "label_smoothing": 0.1}
    return Training(trial(data={"limit": 60, "augment": augment}, model=model, train=train, **sections))


@pytest.mark.parametrize("augment", [*MIXED.values(), {"dual_cutout": {"size": 3}}], ids=[*MIXED, "dual cutout"])
def test_micro_batches_give_what_the_loop_gives(augment: dict[str, Any]) -> None:
    whole, whole_loss = after_steps(training(augment))
    loop, loop_loss = after_steps(training(augment, execution={"micro_batches": "loop"}))
    assert whole_loss == pytest.approx(loop_loss, rel=1e-4)
    for name, value in loop.items():
        torch.testing.assert_close(
            whole[name], value, rtol=2e-4, atol=2e-5, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_a_group_of_a_batch_has_both_views() -> None:
    def plan(norm: str, **options: Any) -> str:
        trial: TrialConfig = config(
            data={"augment": {"dual_cutout": {"size": 3}}},
            model={"norm": {"name": norm, **options}},
            train={"micro_batch_size": 4},
        )
        return plan_micro_batches(trial).what

    assert plan("batch") == "groups of 8"
    assert plan("ghost_batch", ghost_size=8) == "groups of 8"
    assert plan("ghost_batch", ghost_size=4) == "whole batch"
    assert plan("ghost_batch", ghost_size=3) == "loop of 8 x 4"


@pytest.mark.parametrize("augment", [*MIXED.values(), {"dual_cutout": {"size": 3}}], ids=[*MIXED, "dual cutout"])
def test_training_goes_down_and_measures_every_image_once(augment: dict[str, Any]) -> None:
    made = Training(trial(data={"augment": augment, "limit": 200}, train={"epochs": 3}))
    records = [made.train_epoch() for _ in range(3)]
    assert records[-1]["test/loss"] < records[0]["test/loss"]
    assert 0 <= records[0]["train/top1_error"] <= 100


@pytest.mark.parametrize("augment", [{"mixup": {"per": "image"}}, {"dual_cutout": {"size": 3}}])
def test_a_trial_that_goes_on_ends_with_the_same_bits(tmp_path: Path, augment: dict[str, Any]) -> None:
    how = trial(data={"augment": augment, "limit": 200}, train={"epochs": 2, "label_smoothing": 0.1})
    trained(how, tmp_path / "whole")

    def stop(record: Record) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        trained(how, tmp_path / "parts", report=stop)
    trained(how, tmp_path / "parts")
    assert_same_checkpoint(last(tmp_path / "parts"), last(tmp_path / "whole"))
