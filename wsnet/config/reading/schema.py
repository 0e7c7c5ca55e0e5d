"""JSON schema of sweep and trial files, for editors."""

from typing import Any

from wsnet.config.published import CASE
from wsnet.config.reading.keys import NOT_AN_AXIS, OWN_OPTION, dotted_keys
from wsnet.config.sweep import SweepConfig
from wsnet.config.trial import TrialConfig

__all__ = ["sweep_schema", "trial_schema"]

_DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


def trial_schema() -> dict[str, Any]:
    """Schema of a trial file."""
    return {**_DIALECT, **TrialConfig.model_json_schema()}


def sweep_schema() -> dict[str, Any]:
    """Schema of a sweep file. `base` is a trial's configuration of which cases and grid may supply any part."""
    sweep, trial = SweepConfig.model_json_schema(), TrialConfig.model_json_schema()
    of_trial = {name: _loosened(definition) for name, definition in trial.pop("$defs").items()}
    base = _loosened(trial)
    keys = [key for key in dotted_keys() if key not in NOT_AN_AXIS]
    for key in NOT_AN_AXIS:
        del base["properties"][key]
    properties = sweep["properties"]
    known = {"anyOf": [{"enum": keys}, {"pattern": f"^{OWN_OPTION.pattern}$"}]}
    grid = {"propertyNames": known, "additionalProperties": {"type": ["array", "object"], "minItems": 1}}
    properties["base"] = {**base, "title": "Base", "description": properties["base"]["description"]}
    properties["grid"] |= grid
    properties["cases"]["items"] = {
        "type": "object",
        "properties": {CASE: {"type": "string", "pattern": r"\S"}, "grid": {"type": "object", **grid}},
        "propertyNames": {"anyOf": [*known["anyOf"], {"enum": [CASE, "grid"]}]},
    }
    return {**_DIALECT, **sweep, "$defs": {**of_trial, **sweep["$defs"]}}


def _loosened(schema: Any) -> Any:
    """A section that an override may complete: what it needs, even its name, is checked when the file is read."""
    if isinstance(schema, list):
        return [_loosened(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    loose = {key: _loosened(part) for key, part in schema.items() if key not in ("required", "discriminator", "oneOf")}
    if "oneOf" in schema:
        loose["anyOf"] = _loosened(schema["oneOf"])
    return loose
