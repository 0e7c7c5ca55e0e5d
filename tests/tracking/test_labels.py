"""Labels of cases in MLflow."""

from dataclasses import replace

from tests.tracking.sweeps import manifest
from wsnet.tracking.tags import trial_tags, view_tag


def test_a_label_is_a_tag_that_the_table_of_runs_shows() -> None:
    plain = manifest()
    entry = replace(plain.trials[0], axes={"case": "ResNet-110", **plain.trials[0].axes})
    labelled = replace(plain, axes=["case", *plain.axes], trials=[entry])
    assert trial_tags(labelled, entry, 0)["case"] == "ResNet-110"
    assert "case" not in trial_tags(plain, plain.trials[0], 0)
    (view,) = view_tag(labelled).values()
    assert "tags.`case`" in view and "params.`case`" not in view
