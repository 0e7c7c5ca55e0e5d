"""A sweep as MLflow holds it."""

from dataclasses import replace

from tests.tracking.sweeps import BATCH_SIZES, manifest
from wsnet.tracking.tags import experiment_tags, manifest_from_tags, trial_from_tags, trial_tags
from wsnet.tracking.views import view_state, view_tags


def test_a_manifest_comes_back_from_its_tags() -> None:
    plain = manifest()
    plain = replace(plain, trials=[replace(entry, epochs=None) for entry in plain.trials])  # MLflow does not have them.
    last = plain.trials[-1]
    also = replace(last, also=[{**last.axes, "train.batch_size": 64}])
    sweep = replace(plain, trials=[*plain.trials[:-1], also])
    trials = [trial_from_tags(entry.name, trial_tags(sweep, entry, order)) for order, entry in enumerate(sweep.trials)]
    assert manifest_from_tags(sweep.name, experiment_tags(sweep), trials) == sweep


def test_what_is_too_long_for_a_tag_comes_back_from_several() -> None:
    plain = manifest()
    places = [{"optim.lr": 0.1 + number / 10_000, "model.norm.name": "none"} for number in range(900)]
    settings = [{"optim.lr": place["optim.lr"]} for place in places]
    sweep = replace(
        plain,
        report={**plain.report, "compare": {"against": {"optim.lr": 0.1}, "settings": settings}},
        trials=[replace(plain.trials[0], epochs=None, also=places)],
    )
    tags = [experiment_tags(sweep), trial_tags(sweep, sweep.trials[0], 0)]
    assert max(len(text) for each in tags for text in each.values()) < 5000
    assert manifest_from_tags(sweep.name, tags[0], [trial_from_tags(sweep.trials[0].name, tags[1])]) == sweep
    shorter = {**tags[0], **experiment_tags(plain)}  # The tags of more pieces stay in MLflow when a sweep gets smaller.
    assert manifest_from_tags(plain.name, shorter, plain.trials) == plain


def test_the_experiment_has_the_seeds_and_the_columns_of_trials_that_have_not_started() -> None:
    tags = experiment_tags(manifest())
    assert (tags["wsnet.seeds"], tags["wsnet.column_values"]) == ("3", str(BATCH_SIZES))


def test_a_label_is_a_tag_that_the_table_of_runs_shows() -> None:
    plain = manifest()
    entry = replace(plain.trials[0], axes={"case": "ResNet-110", **plain.trials[0].axes})
    labelled = replace(plain, axes=["case", *plain.axes], trials=[entry])
    assert trial_tags(labelled, entry, 0)["case"] == "ResNet-110"
    assert "case" not in trial_tags(plain, plain.trials[0], 0)
    for view in map(view_state, view_tags(labelled, has_validation=True).values()):
        assert "tags.`case`" in view["selectedColumns"] and "params.`case`" not in view["selectedColumns"]
