"""Options of a sweep's settings that its manifest does not have, from the configurations of its trials."""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from wsnet.config import ConfigError
from wsnet.config.norm import NormConfig
from wsnet.config.reading.yaml_lines import YamlFile
from wsnet.report.results import Results
from wsnet.report.tables.summaries import once
from wsnet.storage import Folder, trial_directory

__all__ = ["trial_options"]


def trial_options(place: str, results: Results, keys: Collection[str]) -> dict[str, dict[str, Any]]:
    """Values of options that a sweep neither varies nor fixes, so that they are at their defaults.

    Args:
        place: the sweep's folder, or a CSV file, which has no configurations.
        results: of the sweep.
        keys: dotted keys.

    Returns:
        setting_id to dotted key to value, without options that the setting does not have.
    """
    if not keys or place.endswith(".csv"):
        return {}
    found: dict[str, dict[str, Any]] = {}
    for trial in once(results.trials):
        if trial.setting_id not in found:
            text = trial_directory(Folder(place), trial.trial_id).folder.read("trial.yaml")
            found[trial.setting_id] = {} if text is None else _values(text.decode(errors="replace"), keys)
    return found


def _values(text: str, keys: Collection[str]) -> dict[str, Any]:
    try:
        tree = YamlFile.parse(text, "trial.yaml").tree.plain()
    except ConfigError:  # Damaged; the report is about the records.
        return {}
    values = {key: _value(tree, key) for key in keys if not _is_moot(key, tree)}
    return {key: value for key, value in values.items() if value is not None and not isinstance(value, dict)}


def _value(tree: Mapping[str, Any], key: str) -> Any:
    value: Any = tree
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _is_moot(key: str, tree: Mapping[str, Any]) -> bool:
    """Whether an option is without effect: statistics to evaluate with, of a norm that keeps none."""
    if not key.startswith("train.evaluation_statistics"):
        return False
    try:
        return not TypeAdapter(NormConfig).validate_python(_value(tree, "model.norm")).keeps_statistics
    except ValidationError:
        return True
