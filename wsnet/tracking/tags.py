"""A sweep as MLflow holds it: tags of the experiment and its runs, and parameters."""

import json
import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from wsnet.config.published import CASE
from wsnet.storage import Manifest, TrialEntry

__all__ = [
    "experiment_tags",
    "final",
    "manifest_from_tags",
    "parameters",
    "setting_tags",
    "trial_from_tags",
    "trial_tags",
    "value_of_tag",
    "varied",
]

TRIAL, SETTING, SUMMARY = "trial", "setting", "summary"
"""Values of the tag `wsnet.kind`: a run of one trial, of one setting above its trials, or of the sweep's report."""

KIND, TRIAL_ID, SETTING_ID, SEED = "wsnet.kind", "wsnet.trial_id", "wsnet.setting_id", "wsnet.seed"
SWEEP, REVISION, STATUS, MESSAGE = "wsnet.sweep", "wsnet.revision", "wsnet.status", "wsnet.message"
AXES, ALSO, ORDER, IN_SWEEP, GROUP = "wsnet.axes", "wsnet.also", "wsnet.order", "wsnet.in_sweep", "setting"
QUESTION, REPORT, SEEDS, COLUMN_VALUES = "wsnet.question", "wsnet.report", "wsnet.seeds", "wsnet.column_values"
COMPILED = "wsnet.compiled"
"""`true` on a trial's run whose steps are compiled."""
FACTS = "wsnet.facts"
"""JSON: what the manifest says of a trial beside its axes, where that is not nothing."""

_FACTS = ("epochs", "defaults", "parameters", "multiply_accumulates")

PARENT, NOTE = "mlflow.parentRunId", "mlflow.note.content"
"""MLflow's own tags: the run above a run, and the description of a run or an experiment."""

SUMMARY_OF, CURVE_OF = "wsnet.summary_of", "wsnet.curve_of"
"""On a setting's run: which ends of which trials its numbers are made of, and its curve."""

_LONGEST = 4_900
"""Characters of a tag. MLflow cuts a run's tag after 8,000; version 2 refuses more than 5,000 of an experiment's."""

EPOCH = "epoch"
"""The metric whose value is its own step: the last epoch that a run has."""

FINAL = "final/"
"""Prefix of a trial's last values, logged once more at step 0, where MLflow's charts draw them as bars."""


def experiment_tags(manifest: Manifest) -> dict[str, str]:
    """What a report needs to know about a sweep besides its trials.

    The number of seeds and the values on the column axis follow from the manifest, but not from the runs: only trials
    that have started have one.
    """
    return {
        QUESTION: manifest.question,
        SEEDS: str(manifest.seeds),
        **_pieces(REPORT, manifest.report),
        **_pieces(AXES, manifest.axes),
        **_pieces(COLUMN_VALUES, manifest.column_values),
    }


def trial_tags(manifest: Manifest, entry: TrialEntry, order: int) -> dict[str, str]:
    """What identifies one trial of a sweep; `order` is its place in the manifest."""
    return {
        **_place_tags(manifest, entry, str(order)),
        KIND: TRIAL,
        TRIAL_ID: entry.trial_id,
        SEED: str(entry.seed),
        FACTS: _dumps({name: value for name in _FACTS if (value := getattr(entry, name))}),
    }


def setting_tags(manifest: Manifest, entry: TrialEntry, order: int) -> dict[str, str]:
    """What identifies one setting of a sweep.

    Args:
        manifest: the sweep's.
        entry: any trial of the setting.
        order: the setting's place among the settings; with leading zeros, since MLflow sorts tags as text.
    """
    return {**_place_tags(manifest, entry, f"{order:06d}"), KIND: SETTING}


def _place_tags(manifest: Manifest, entry: TrialEntry, order: str) -> dict[str, str]:
    """What the run of a setting and those of its trials have in common."""
    return {
        SETTING_ID: entry.setting_id,
        SWEEP: manifest.name,
        **_pieces(AXES, entry.axes),
        **(_pieces(ALSO, entry.also) if entry.also else {ALSO: ""}),
        ORDER: order,
        IN_SWEEP: "true",
        # Runs are grouped by this one short tag: groups of several parameters are hard to read in MLflow's table.
        GROUP: re.sub(rf"-s{entry.seed}$", "", entry.name),
        # A case's label is not a parameter; as a tag it can be used to group charts.
        **({CASE: str(entry.axes[CASE])} if CASE in entry.axes else {}),
    }


def varied(entry: TrialEntry) -> dict[str, str]:
    """What a setting has on the axes of its sweep, as parameters: without the label, and without what is null there.

    A setting that is at several places has all its values of an axis: `8, 64`.
    """
    found: dict[str, dict[str, None]] = {}
    for key, value in ((key, value) for axes in entry.places for key, value in axes.items()):
        if key != CASE and value is not None:
            for name, text in _flatten(value, key).items():
                found.setdefault(name, {})[text] = None
    return {name: ", ".join(texts) for name, texts in found.items()}


def manifest_from_tags(name: str, tags: Mapping[str, str], trials: list[TrialEntry]) -> Manifest:
    """The inverse of `experiment_tags`, with the trials that MLflow has."""
    return Manifest(
        name=name,
        question=tags.get(QUESTION, ""),
        report=value_of_tag(tags, REPORT),
        axes=value_of_tag(tags, AXES),
        trials=trials,
    )


def trial_from_tags(name: str, tags: Mapping[str, str]) -> TrialEntry:
    """The inverse of `trial_tags`."""
    return TrialEntry(
        trial_id=tags[TRIAL_ID],
        setting_id=tags[SETTING_ID],
        seed=int(tags[SEED]),
        name=name,
        axes=value_of_tag(tags, AXES),
        also=value_of_tag(tags, ALSO) if tags.get(ALSO) else [],
        **json.loads(tags.get(FACTS) or "{}"),
    )


def value_of_tag(tags: Mapping[str, str], key: str) -> Any:
    """The value that a tag holds as JSON, in one piece or in several."""
    text = tags[key]
    count, bar, first = text.partition("|")
    if bar and count.isdigit():  # JSON of a list or a mapping does not begin with a digit.
        text = first + "".join(tags[f"{key}.{number}"] for number in range(1, int(count)))
    return json.loads(text)


def _pieces(key: str, value: list[Any] | dict[str, Any]) -> dict[str, str]:
    """A value as JSON in as many tags as it takes: `key` with their number before the text, `key.1`, `key.2`, ..."""
    text = _dumps(value)
    pieces = [text[start : start + _LONGEST] for start in range(0, len(text), _LONGEST)]
    if len(pieces) == 1:
        return {key: text}
    return {key: f"{len(pieces)}|{pieces[0]}", **{f"{key}.{n}": piece for n, piece in enumerate(pieces[1:], start=1)}}


def final(metric: str) -> str:
    """Name of a metric's last value: `test/top1_error` gives `final/test_top1_error`."""
    return FINAL + metric.replace("/", "_")


def parameters(text: str) -> dict[str, str]:
    """The text of a `trial.yaml` (YAML 1.2) as parameters, without what is null there: it would only be in the way."""
    found = _flatten(YAML(typ="safe", pure=True).load(text) or {})
    return {key: value for key, value in found.items() if value != _NULL}


_NULL = "null"


def _flatten(tree: Any, prefix: str = "") -> dict[str, str]:
    """Nested mappings as MLflow's parameters, which are dotted keys to text: `{"model.norm.name": "group"}`."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree if isinstance(tree, str) else _dumps(tree)} if prefix else {}
    flat: dict[str, str] = {}
    for key, value in tree.items():
        flat |= _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
