"""A resolved configuration as MLflow's parameters."""

from typing import Any

from ruamel.yaml import YAML

from wsnet.tracking import tags

__all__ = ["flatten", "parameters"]


def parameters(text: str) -> dict[str, str]:
    """The text of a `trial.yaml` (YAML 1.2) as parameters."""
    return flatten(YAML(typ="safe", pure=True).load(text) or {})


def flatten(tree: Any, prefix: str = "") -> dict[str, str]:
    """Nested mappings as dotted keys with text, as MLflow's parameters are: `{"model.norm.name": "group"}`."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree if isinstance(tree, str) else tags.dumps(tree)} if prefix else {}
    flat: dict[str, str] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return flat
