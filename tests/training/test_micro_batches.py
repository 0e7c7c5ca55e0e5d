"""Micro-batches give what the plain loop gives, however they are computed."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tests.training.trials import assert_same_checkpoint, config, last, numbers, trained, trial
from wsnet.config import TrialConfig, setting_id
from wsnet.layers import initialize
from wsnet.layers.online_norm import rescale_gradient_state
from wsnet.models import build
from wsnet.storage import Folder, TrialDirectory
from wsnet.training import Trial, TrialError
from wsnet.training.loop import Training
from wsnet.training.meter import Meter
from wsnet.training.micro_batches import plan_micro_batches
from wsnet.training.optimizer import build_optimizer

NORMS: dict[str, dict[str, Any]] = {
    "batch": {},
    "sync_batch": {},
    "ghost_batch": {"ghost_size": 2},
    "batch_renorm": {"warmup_steps": 2, "r_max_steps": 6, "d_max_steps": 6, "momentum": 0.1},
    "group": {"groups": 2},
    "layer": {},
    "instance": {},
    "filter_response": {},
    "evonorm_s0": {"groups": 2},
    "online": {},
    "none": {},
}
MODEL = {"name": "cifar_resnet", "depth": 8, "width": 4}


def plan(norm: str, size: int, *, workers: int = 1, **options: Any) -> str:
    model = {"norm": {"name": norm, **(options or NORMS[norm])}}
    return plan_micro_batches(config(model=model, train={"micro_batch_size": size}), workers=workers).what


def after_steps(training: Training, steps: int = 3) -> tuple[dict[str, torch.Tensor], float]:
    """Parameters and buffers, and the loss, after a few steps of the product."""
    meter = Meter(torch.device("cpu"))
    training.model.train()
    for step, batch in zip(range(steps), training.batches.epoch(1), strict=False):
        training.train_step(step, batch, meter)
    return training.model.state_dict(), meter.read().loss


def after_plain_loop(training: Training, size: int, steps: int = 3) -> tuple[dict[str, torch.Tensor], float]:
    """The same by a loop as anybody would write it."""
    settings, losses, images_seen = training.config, 0.0, 0
    model = build(settings.model, classes=10, shape=(1, 8, 8))
    initialize(model, settings.seed)
    optimizer = build_optimizer(settings.optim, model)
    for step, batch in zip(range(steps), training.batches.epoch(1), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = training.optimizer.learning_rate(step)
        optimizer.zero_grad()
        scale = training.config.train.batch_size / len(batch.labels)
        rescale_gradient_state(model, scale)  # Of online norm alone.
        for images, labels in zip(batch.images.split(size), batch.labels.split(size), strict=True):
            loss = F.cross_entropy(model(images), labels)
            (loss * len(labels) / len(batch.labels)).backward()
            losses, images_seen = losses + loss.item() * len(labels), images_seen + len(labels)
        rescale_gradient_state(model, 1 / scale)
        optimizer.step()
    return model.state_dict(), losses / images_seen


@pytest.mark.parametrize("how", ["auto", "loop"])
@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_gives_what_the_plain_loop_gives(norm: str, how: str) -> None:
    model = {**MODEL, "norm": {"name": norm, **NORMS[norm]}}
    # The third batch of 24 is the last one of 60 images: 12 images, and one micro-batch of 4 is left of 8 and 4.
    train = {"batch_size": 24, "micro_batch_size": 8}
    data = {"limit": 60}
    training = Training(trial(model=model, train=train, data=data, execution={"micro_batches": how}))
    wanted, wanted_loss = after_plain_loop(training, 8)
    found, loss = after_steps(training)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(
            found[name], value, rtol=2e-4, atol=2e-5, msg=lambda text, name=name: f"{name}: {text}"
        )
    assert loss == pytest.approx(wanted_loss, rel=1e-4)


@pytest.mark.parametrize("weight", ["standardized", "normalized"])
def test_reparametrized_filters_are_computed_once_a_step(weight: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = {**MODEL, "norm": {"name": "batch"}, "weight": weight}
    train = {"batch_size": 24, "micro_batch_size": 8}
    training = Training(trial(model=model, train=train, data={"limit": 60}, execution={"micro_batches": "loop"}))
    wanted, _ = after_plain_loop(training, 8)
    conv = next(module for module in training.model.modules() if hasattr(module, "filters"))
    computed = []
    filters = type(conv).filters
    monkeypatch.setattr(type(conv), "filters", lambda self: computed.append(self) or filters(self))
    found, _ = after_steps(training)
    assert len([module for module in computed if module is conv]) == 3
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=2e-4, atol=2e-5)


def test_micro_batches_matter_to_batch_norm() -> None:
    whole, small = (
        after_steps(Training(trial(train={"batch_size": 24, "micro_batch_size": size})))[0]["layer1.0.bn1.running_var"]
        for size in (24, 4)
    )
    assert not torch.allclose(whole, small, rtol=1e-2)


def test_the_plan_is_the_whole_batch_wherever_that_is_the_same() -> None:
    assert plan("group", 4) == plan("none", 4) == plan("online", 4) == plan("layer", 4) == "whole batch"
    assert plan("batch", 4) == plan("sync_batch", 4) == "groups of 4"
    assert plan("batch", 32) == "whole batch"
    assert plan("ghost_batch", 8, ghost_size=4) == "whole batch"
    assert plan("ghost_batch", 2, ghost_size=4) == "groups of 2"
    assert plan("ghost_batch", 8, ghost_size=3) == "loop of 4 x 8"
    assert plan("batch_renorm", 8) == "loop of 4 x 8"
    # Of a batch of 32, each of 2 workers has 16 images.
    assert plan("batch_renorm", 8, workers=2) == "loop of 2 x 8"
    assert plan("batch", 16, workers=2) == "whole batch"


def test_networks_with_norms_of_their_own_run_as_the_loop() -> None:
    data = config(train={"batch_size": 32, "micro_batch_size": 8}).model_dump(mode="json")
    network = {"name": "torchvision", "architecture": "resnet18"}
    assert plan_micro_batches(TrialConfig.model_validate({**data, "model": network})).what == "loop of 4 x 8"


def test_the_reason_for_a_plan_is_told() -> None:
    found = plan_micro_batches(config(train={"micro_batch_size": 4}, execution={"micro_batches": "loop"}))
    assert found.what == "loop of 8 x 4" and "execution.micro_batches" in found.why
    found = plan_micro_batches(config(train={"micro_batch_size": 4}, model={"norm": {"name": "layer"}}))
    assert "'layer' takes no statistics over a batch" in found.why


def test_a_micro_batch_counts_in_the_identity_only_where_it_has_a_part_in_the_results() -> None:
    def ids(norm: str) -> list[str]:
        sizes = (None, 1, 8, 32)
        return [
            setting_id(
                config(model={"norm": {"name": norm, **NORMS[norm]}}, train={"micro_batch_size": s}), data_hash="d"
            )
            for s in sizes
        ]

    for norm in NORMS:
        unset, one, eight, whole = ids(norm)
        assert whole == unset
        matters = "batch" in norm
        assert (one != unset) == (eight != unset) == (one != eight) == matters, norm


def test_the_way_of_computing_is_no_part_of_the_identity() -> None:
    auto, loop = (
        setting_id(config(train={"micro_batch_size": 4}, execution={"micro_batches": how}), data_hash="d")
        for how in ("auto", "loop")
    )
    assert auto == loop


@pytest.mark.slow
def test_a_trial_goes_on_as_it_was_computed_before(tmp_path: Path) -> None:
    train = {"batch_size": 24, "micro_batch_size": 8, "epochs": 2}
    looped = trial(train=train, execution={"micro_batches": "loop"})
    whole = trained(looped, tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(record: dict[str, float]) -> None:
        raise Stop

    with pytest.raises(Stop):
        trained(looped, tmp_path / "parts", report=stop)
    parts = trained(trial(train=train), tmp_path / "parts")  # Asked for otherwise now; the record of execution decides.
    assert numbers(parts.records) == numbers(whole.records)
    assert_same_checkpoint(last(tmp_path / "parts"), last(tmp_path / "whole"))
    assert TrialDirectory(Folder(tmp_path / "parts")).execution()["micro_batches"] == "loop"  # type: ignore[index]


def test_an_image_alone_where_maps_shrink_to_a_pixel_is_refused_by_name() -> None:
    data = config(train={"batch_size": 8, "micro_batch_size": 1}).model_dump(mode="json")
    # 8x8 digits through four stages of stride 2 end at 1x1.
    deep = TrialConfig.model_validate({**data, "model": {"name": "resnet", "depth": 18}})
    with pytest.raises(TrialError, match=r"train\.micro_batch_size=1"):
        Training(Trial.prepare(deep))


def test_dropout_does_not_depend_on_how_a_batch_is_computed() -> None:
    model = {"name": "wrn", "depth": 10, "widening": 1, "dropout": 0.5, "norm": {"name": "group", "groups": 2}}
    train = {"batch_size": 24, "micro_batch_size": 8}
    data = config(train=train).model_dump(mode="json")

    def losses(how: str) -> float:
        section = {**data["execution"], "micro_batches": how}
        trial = TrialConfig.model_validate({**data, "model": model, "execution": section})
        return after_steps(Training(Trial.prepare(trial)))[1]

    assert losses("auto") == pytest.approx(losses("loop"), rel=1e-4)
