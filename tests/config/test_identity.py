"""Equal ids mean equal results."""

from typing import Any

import pytest

from wsnet.config import TrialConfig, canonical, identity, setting_id, trial_id
from wsnet.config.identity import affects_identity
from wsnet.config.reading.keys import dotted_keys
from wsnet.config.reading.located import Located


def trial(**changes: Any) -> TrialConfig:
    """A trial; a double underscore stands for the dot of a dotted key."""
    data = {
        "data": {"name": "digits"},
        "model": {"name": "cifar_resnet", "depth": 8},
        "optim": {"name": "sgd", "lr": 0.1},
        "train": {"epochs": 3, "batch_size": 16},
    }
    values = {key.replace("__", "."): Located.of(value, "") for key, value in changes.items()}
    return TrialConfig.model_validate(Located.of(data, "").merged(values).plain())


def ids(config: TrialConfig, **more: Any) -> tuple[str, str]:
    return setting_id(config, **{"data_hash": "d", **more}), trial_id(config, **{"data_hash": "d", **more})


def test_an_id_never_changes_from_one_version_to_the_next() -> None:
    # Written down once: if this fails, every stored result is orphaned. Raise NUMERICS only if numbers changed.
    config = trial(
        seed=3, model__norm={"name": "group", "groups": 8}, optim__schedule={"name": "multistep", "milestones": [2]}
    )
    assert ids(config) == ("7a3d9eab8887", "2ff046af7e4b")


def test_defaults_do_not_count() -> None:
    spelled_out = trial(
        model__norm={"name": "batch", "eps": 1e-5},
        optim__momentum=0.0,
        optim__schedule={"name": "constant", "warmup_epochs": 0},
        optim__weight_decay_on="all",
        optim__scale_with_batch=None,
        data__augment={"flip": False},
        train__precision="float32",
        train__ema=None,
    )
    assert ids(spelled_out) == ids(trial())
    assert canonical(trial()) == {
        "data": {"name": "digits"},
        "model": {"name": "cifar_resnet", "depth": 8},
        "optim": {"name": "sgd", "lr": 0.1},
        "train": {"epochs": 3, "batch_size": 16},
    }


@pytest.mark.parametrize(
    "change",
    [
        {"model__checkpointing": True},
        {"data__workers": 2},
        {"train__keep": "all"},
        {"train__tensorboard": True},
        {"train__diagnostics": True},
        {"execution__threads": 3},
        {"execution__device": "cpu"},
    ],
)
def test_what_changes_no_numbers_does_not_count(change: dict[str, Any]) -> None:
    assert ids(trial(**change)) == ids(trial())
    assert not affects_identity(next(iter(change)).replace("__", "."))


@pytest.mark.parametrize(
    "change",
    [
        {"optim__lr": 0.2},
        {"optim__clip_grad_norm": 1.0},
        {"optim__scale_with_batch": {"rule": "linear", "base": 16}},
        {"train__ema": {"decay": 0.9}},
        {"train__stop_above": {"loss": 2.0}},
        {"train__epochs": 4},
        {"train__precision": "bfloat16"},
        {"model__weight": "standardized"},
        {"model__residual_init": "zero"},
        {"model__norm": {"name": "layer"}},
        {"data__validation": 100},
        {"data__limit": 100},
        {"data__augment__flip": True},
    ],
)
def test_what_changes_numbers_counts(change: dict[str, Any]) -> None:
    assert ids(trial(**change))[0] != ids(trial())[0]
    assert affects_identity(next(iter(change)).replace("__", "."))


def test_1_and_1_0_are_the_same_learning_rate() -> None:
    assert ids(trial(optim__lr=1)) == ids(trial(optim__lr=1.0))


def test_the_seed_changes_the_trial_and_not_the_setting() -> None:
    (setting, first), (same, second) = ids(trial()), ids(trial(seed=1))
    assert setting == same
    assert first != second


def test_the_images_and_the_warm_start_count() -> None:
    assert ids(trial(), data_hash="other")[0] != ids(trial())[0]
    assert ids(trial(), warm_start="w")[0] != ids(trial())[0]


def test_workers_count_only_where_each_has_its_own_batch_statistics() -> None:
    group = trial(model__norm={"name": "group", "groups": 4})
    assert ids(trial(), workers=2) != ids(trial(), workers=1)
    assert ids(trial(), workers=2) != ids(trial(), workers=4)
    assert ids(group, workers=2) == ids(group, workers=1)
    for name in ("ghost_batch", "batch_renorm"):
        norm = trial(model__norm={"name": name})
        assert ids(norm, workers=2) != ids(norm, workers=1)
    sync = trial(model__norm={"name": "sync_batch"})
    assert ids(sync, workers=2) == ids(sync, workers=1)


def test_every_key_either_changes_numbers_or_is_known_not_to() -> None:
    silent = {key for key in dotted_keys() if not affects_identity(key)}
    sections = {"execution"} | {key for key in dotted_keys() if key.startswith("execution.")}
    sections |= {key for key in dotted_keys() if key == "data.found" or key.startswith("data.found.")}
    others = {"train.keep", "train.checkpoint_steps", "train.tensorboard", "train.diagnostics", "model.checkpointing"}
    assert silent == {"seed", "data.workers"} | others | sections


def test_pretrained_weights_count_by_their_content_and_not_by_their_place() -> None:
    here, there = (trial(model__pretrained=path) for path in ("a.pth", "b/a.pth"))
    assert ids(here, warm_start="x") == ids(there, warm_start="x")
    assert ids(here, warm_start="x") != ids(here, warm_start="y") != ids(trial())


@pytest.mark.parametrize(
    ("concerned", "not_concerned"),
    [
        # An average of the weights, with statistics of its own.
        ({"train__ema": {"decay": 0.9}}, {"train__ema": {"decay": 0.9}, "model__norm": {"name": "layer"}}),
        # Online norm and a last batch of another size: 1,797 - 360 images are no multiple of 16.
        ({"model__norm": {"name": "online"}}, {"model__norm": {"name": "online"}, "train__drop_last": True}),
        ({"model__norm": {"name": "online"}}, {"model__norm": {"name": "online"}, "train__batch_size": 1}),
        ({"model__norm": {"name": "online"}}, {}),
        # Norms whose gradients are in closed form.
        ({"model__norm": {"name": "batch_renorm"}}, {"model__norm": {"name": "batch"}}),
        ({"model__norm": {"name": "evonorm_s0", "groups": 8}}, {"model__norm": {"name": "group", "groups": 8}}),
        ({"model__norm": {"name": "filter_response"}}, {"model__norm": {"name": "none"}}),
        ({"model__norm": {"name": "ghost_batch"}}, {"model__norm": {"name": "sync_batch"}}),
        ({"model__norm": {"name": "instance"}}, {"model__norm": {"name": "layer"}}),
    ],
)
def test_a_revision_gives_new_ids_to_the_settings_that_it_concerns_alone(
    monkeypatch: pytest.MonkeyPatch, concerned: dict[str, Any], not_concerned: dict[str, Any]
) -> None:
    new = ids(trial(**concerned)), ids(trial(**not_concerned))
    monkeypatch.setattr(identity, "_REVISIONS", {})
    old = ids(trial(**concerned)), ids(trial(**not_concerned))
    assert new[0] != old[0] and new[1] == old[1]


def test_the_ids_of_a_setting_with_its_seeds_are_those_of_each_trial() -> None:
    config = trial(model__norm={"name": "group", "groups": 8})
    seeds = [0, 3, 17]
    alone = [ids(config.model_copy(update={"seed": seed}), workers=2) for seed in seeds]
    setting, trials = identity.identities(config, seeds, data_hash="d", workers=2)
    assert [(setting, one) for one in trials] == alone
