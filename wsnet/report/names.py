"""Names as a paper has them, for figures and verdicts: "batch size", "test error (%)", "GroupNorm + WS"."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wsnet.report import words

__all__ = ["axis_name", "metric_name", "number_name", "setting_name", "setting_names", "value_name"]

_NORM, _WEIGHT, _STATISTICS = "model.norm.name", "model.weight", "train.evaluation_statistics.name"
_SETTING = "setting_id"  # `pivot.SETTING`; its values are identities, not JSON text.
_DASH = "–"  # noqa: RUF001


def axis_name(key: str) -> str:
    """The name of a dotted key: `train.batch_size` is "batch size"."""
    if key in words.AXES:
        return words.AXES[key]
    return key.rpartition(".")[2].replace("_", " ")


def metric_name(metric: str) -> str:
    """The name of a metric, with its unit: `test/top1_error` is "test error (%)"."""
    split, _, quantity = metric.partition("/")
    before, after = words.SPLITS.get(split, (split.replace("_", " "), ""))
    measured = words.QUANTITIES.get(quantity, quantity.replace("_", " ").replace("/", " "))
    return f"{before} {measured}".strip() + after


def number_name(value: float, *, key: str = "") -> str:
    """A number as a paper writes it: `1e-4`, `0.1`, `32`; a decay of the form 1 - 2^-k as the fraction `1023/1024`.

    Numbers of more than six digits, such as those of a random search, are rounded to four, or three of 1 - value.
    """
    if key.endswith("decay") and 0.9 < value < 1:
        inverse = 1 / (1 - value)
        if inverse >= 16 and math.log2(inverse).is_integer():
            return f"{int(inverse) - 1}/{int(inverse)}"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = f"{value:.6g}" if float(f"{value:.6g}") == value else f"{_rounded(value):.10g}"
    if value and 1e-5 < abs(value) < 1e-3 and "e" not in text:
        exponent = math.floor(math.log10(abs(value)))
        text = f"{float(f'{value / 10**exponent:.12g}'):g}e{exponent}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def _rounded(value: float) -> float:
    return 1 - float(f"{1 - value:.3g}") if 0.99 < value < 1 else float(f"{value:.4g}")


def value_name(key: str, value: str | None) -> str:
    """A value on an axis, from its JSON text, where the axis is named beside it; a dash where it does not apply."""
    if value is None:
        return _DASH
    if key == _SETTING:
        return value
    plain = json.loads(value)
    table = _TABLES.get(key, {})
    if isinstance(plain, str):
        return table.get(plain) or _own_class(plain)
    if isinstance(plain, dict):
        return _of_dict(key, plain)
    return _text(key, plain)


def setting_name(axes: Mapping[str, str | None], keys: Sequence[str]) -> str:
    """The name of a setting: "GroupNorm + WS", "BatchNorm, recomputed statistics", "lr 0.1, 8 groups".

    Args:
        axes: dotted key to the value's JSON text; None where the setting does not have the key.
        keys: the keys to name, in order. For names that are distinct within a table use `setting_names`.
    """
    given = {key: axes[key] for key in keys if axes.get(key) is not None}
    parts: list[str] = []
    for key, value in given.items():
        part = _part(key, str(value), given)
        if part:
            parts.append(part)
    return ", ".join(parts) or "all"


def setting_names(labels: Iterable[Sequence[str | None]], keys: Sequence[str]) -> dict[tuple[str | None, ...], str]:
    """Distinct names of a table's rows.

    Options without which the names are distinct are left out, such as the groups of the only group norm.

    Args:
        labels: each row's values of the keys, as JSON text; None where it does not have the key.
        keys: dotted keys.

    Returns:
        label to name; no two names are equal.
    """
    rows = list(dict.fromkeys(tuple(label) for label in labels))
    axes = {row: dict(zip(keys, row, strict=True)) for row in rows}
    kept = list(keys)
    for key in reversed([key for key in keys if _is_detail(key, keys)]):
        without = [other for other in kept if other != key]
        # What the row is called without the option is compared, not its values: two values may have one name.
        if _clashes(axes, without) <= _clashes(axes, kept):
            kept = without
    names = {row: setting_name(axes[row], kept) for row in rows}
    return _told_apart(names, axes, keys)


def _clashes(axes: Mapping[Any, Mapping[str, str | None]], keys: Sequence[str]) -> int:
    """How many rows share their name with another."""
    return len(axes) - len({setting_name(each, keys) for each in axes.values()})


def _told_apart(
    names: dict[tuple[str | None, ...], str],
    axes: Mapping[tuple[str | None, ...], Mapping[str, str | None]],
    keys: Sequence[str],
) -> dict[tuple[str | None, ...], str]:
    """Add `key=value` to equal names where these rows differ."""
    counts = Counter(names.values())
    for name in [name for name, count in counts.items() if count > 1]:
        same = [row for row in names if names[row] == name]
        differing = [key for key in keys if len({axes[row][key] for row in same}) > 1]
        for row in same:
            told = (f"{key.rpartition('.')[2]}={_plain(key, axes[row][key])}" for key in differing)
            names[row] = ", ".join([*([name] if name != "all" else []), *told])
    taken: set[str] = set()
    for row, name in names.items():  # Values that are written alike, such as 1 and "1".
        count, distinct = 2, name
        while distinct in taken:
            distinct, count = f"{name} ({count})", count + 1
        names[row] = distinct
        taken.add(distinct)
    return names


def _is_detail(key: str, keys: Sequence[str]) -> bool:
    """Whether a key may be left out of names that are distinct without it."""
    if key.startswith("model.norm.") and key != _NORM:
        return _NORM in keys
    if key in ("model.residual_init", "model.weight_init"):
        return _WEIGHT in keys or _NORM in keys
    if "case" in keys:
        return key in ("model", "model.norm", "model.name", "model.depth", "optim.schedule") or (
            key.startswith(("optim.schedule.", "model.")) and key not in (_NORM, _WEIGHT)
        )
    return False


def _part(key: str, value: str, given: Mapping[str, str | None]) -> str:
    """What a key adds to a name; empty where it stands in another key's part, or is the default."""
    if key == _SETTING:
        return words.PHRASES[key].format(value)
    plain = json.loads(value)
    if key == _WEIGHT:
        return "" if _NORM in given or "model.norm" in given else words.WEIGHTS.get(plain, "plain weights")
    if key in (_NORM, "model.norm"):
        weight = words.WEIGHTS.get(json.loads(given.get(_WEIGHT) or '"none"'))
        return value_name(key, value) + (f" + {weight}" if weight else "")
    if key == _STATISTICS:
        return f"{plain} statistics"
    if key == "model.depth" and "model.name" in given:
        return ""
    if key == "model.name" and "model.depth" in given and isinstance(plain, str):
        return f"{words.ARCHITECTURES.get(plain, plain)}-{given['model.depth']}"
    if key == "optim.scale_with_batch.rule":
        return f"{plain} lr rule"
    if key in words.PHRASES and _is_number(plain):
        return words.PHRASES[key].format(_text(key, plain))
    if key in _TABLES or key in ("case", "data.augment"):
        return value_name(key, value)
    return f"{key.rpartition('.')[2]}={_plain(key, value)}"


_TABLES: dict[str, dict[str, str]] = {
    "case": {},
    _NORM: words.NORMS,
    "model.norm": words.NORMS,
    _WEIGHT: words.WEIGHTS | {"none": "plain weights"},
    "model": words.ARCHITECTURES,
    "model.name": words.ARCHITECTURES,
    "data.name": words.DATA_SETS,
    "optim.name": words.OPTIMIZERS,
    "optim.schedule": words.SCHEDULES,
    "optim.schedule.name": words.SCHEDULES,
}


def _of_dict(key: str, plain: Mapping[str, Any]) -> str:
    """A section given as a whole: its name, then its options."""
    if key == "data.augment":
        used = {name: value for name, value in plain.items() if value not in (None, False, 0)}
        return " + ".join(_augmentation(name, value) for name, value in used.items()) or "no augmentation"
    options = {name: value for name, value in plain.items() if name != "name"}
    name = _TABLES.get(key, {}).get(str(plain.get("name")), str(plain.get("name", "")))
    if key == "model" and "depth" in options:
        name += f"-{options.pop('depth')}"
    return " ".join(filter(None, (name, _in_parentheses(options))))


def _augmentation(name: str, value: Any) -> str:
    word = words.AUGMENTATIONS.get(name, name.replace("_", " "))
    if not isinstance(value, dict):
        return word if value is True or name == "crop_padding" else f"{word} {_text(name, value)}"
    options = dict(value)
    size = f" {options.pop('size')}" if "size" in options else ""
    return " ".join(filter(None, (word + size, _in_parentheses(options))))


def _in_parentheses(options: Mapping[str, Any]) -> str:
    told = [_option(name.replace("_", " "), value) for name, value in options.items()]
    return f"({', '.join(told)})" if told else ""


def _option(word: str, value: Any) -> str:
    if isinstance(value, bool):
        return word if value else f"no {word}"
    return f"{word} {_text(word, value)}"


def _text(key: str, plain: Any) -> str:
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    if _is_number(plain):
        return number_name(plain, key=key)
    if isinstance(plain, str):
        return plain.replace("_", " ")
    if isinstance(plain, list):
        return ", ".join(_text(key, item) for item in plain)
    if isinstance(plain, dict):
        return _of_dict(key, plain)
    return "none"


def _plain(key: str, value: str | None) -> str:
    """A value as it stands in the sweep file."""
    if value is None or key == _SETTING:
        return value or _DASH
    plain = json.loads(value)
    return plain if isinstance(plain, str) else "none" if plain is None else json.dumps(plain, ensure_ascii=False)


def _own_class(text: str) -> str:
    """The class of `mynorm.py:MyNorm`."""
    file, _, name = text.rpartition(":")
    return name if file.endswith(".py") else text


def _is_number(plain: Any) -> bool:
    return isinstance(plain, int | float) and not isinstance(plain, bool)
