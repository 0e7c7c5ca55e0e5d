"""What a report says of the configurations: what no axis varies."""

from collections.abc import Iterable, Mapping
from typing import Any

from wsnet.config.identity import affects_identity

__all__ = ["fixed_options"]


def fixed_options(base: Mapping[str, Any], axes: Iterable[str]) -> dict[str, Any]:
    """The options of `base` that no axis varies and that matter for a trial's results.

    Args:
        base: nested; its keys may be dotted.
        axes: dotted keys.

    Returns:
        dotted key to value.
    """
    varied = set(axes)
    return {key: value for key, value in _flat(base).items() if key not in varied and affects_identity(key)}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        found |= _flat(value, f"{path}.") if isinstance(value, Mapping) and value else {path: value}
    return found
