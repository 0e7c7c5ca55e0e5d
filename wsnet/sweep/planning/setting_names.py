"""Short names of settings, such as `bn-b32`: readable in a chart's legend, which shows 20 characters."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from wsnet.config.own_class import is_own
from wsnet.config.published import CASE

__all__ = ["setting_names"]

_WORDS = {
    "model.norm.name": {
        "batch": "bn",
        "batch_renorm": "brn",
        "ghost_batch": "ghost",
        "sync_batch": "sbn",
        "group": "gn",
        "layer": "ln",
        "instance": "in",
        "online": "on",
        "filter_response": "frn",
        "evonorm_s0": "evo",
        "none": "nn",
    },
    "model.norm.batch_statistics": {"False": "nobatch", "True": ""},
    "train.evaluation_statistics.name": {"running": "", "recomputed": "rec"},
    "model.weight": {"none": "", "standardized": "ws", "normalized": "wn"},
}
_LETTERS = {
    "data.augment.cutout.size": "cutout",
    "data.augment.mixup.alpha": "mixup",
    "data.augment.random_erasing.probability": "erasing",
    "train.batch_size": "b",
    "train.micro_batch_size": "m",
    "train.epochs": "e",
    "optim.lr": "lr",
    "optim.weight_decay": "wd",
    "model.norm.groups": "g",
    "model.norm.forward_decay": "af",
    "model.norm.backward_decay": "ab",
    "model.depth": "d",
    "model.width": "w",
}
_LONG = ("model.norm.backward_decay", "model.norm.forward_decay")
"""Keys whose values have many digits."""


def setting_names(axes: list[dict[str, Any]]) -> list[str]:
    """A short name for each setting, unique among them.

    Args:
        axes: for each setting, the keys that vary in the sweep, as dotted key to value.
    """
    names = _names(axes)
    labelled = all(CASE in setting for setting in axes)
    keys = dict.fromkeys(key for setting in axes for key in setting if key != CASE) if labelled else ()
    for key in (*keys, *_LONG):  # Drop keys not needed to tell names apart, first those a label covers.
        if not any(key in setting for setting in axes):
            continue
        shorter = [{k: value for k, value in setting.items() if k != key} for setting in axes]
        if len(set(short := _names(shorter))) == len(set(names)):
            axes, names = shorter, short
    doubles = {name for name, count in Counter(names).items() if count > 1}
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(f"{name}.{seen[name]}" if name in doubles else name)
    return unique


def _names(axes: list[dict[str, Any]]) -> list[str]:
    labels = _labels(dict.fromkeys(key for setting in axes for key in setting))
    parts = [[_part(key, value, labels[key]) for key, value in setting.items()] for setting in axes]
    return ["-".join(filter(None, setting)) or "base" for setting in parts]


def _labels(keys: Iterable[str]) -> dict[str, str]:
    """What stands before an axis's number: a letter or the key's last word, or the last two if others have the same."""
    labels = {key: _LETTERS.get(key, _last(key)) for key in keys}
    count = Counter(labels.values())
    return {key: label if count[label] == 1 else ".".join(key.split(".")[-2:]) for key, label in labels.items()}


def _part(key: str, value: Any, label: str) -> str:
    if key == CASE:
        return re.sub(r"[^\w.=+]+", "-", str(value)).strip("-")
    if key in _WORDS:
        return _WORDS[key].get(str(value), _class_name(str(value)))
    if isinstance(value, bool):
        return label if value else f"no_{label}"
    if value is None:
        return f"no_{label}"
    if isinstance(value, int | float):
        return f"{label}{value:g}"
    if isinstance(value, dict):
        return _section(value) or "off"
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)


def _section(section: dict[str, Any]) -> str:
    """Text for a whole section: its name, its numbers, the switches that are on, and its subsections."""
    parts: list[str] = []
    for key, value in section.items():
        if isinstance(value, dict):
            parts += [key, _section(value)]
        elif isinstance(value, bool):
            parts += [key] if value else []
        elif isinstance(value, str | int | float):
            parts.append(_class_name(str(value)))
    return "-".join(filter(None, parts))


def _class_name(text: str) -> str:
    """The class name of a user's class (`file.py:Class`); any other text unchanged."""
    return text.rpartition(":")[2] if is_own(text) else text


def _last(key: str) -> str:
    return key.rpartition(".")[2]
