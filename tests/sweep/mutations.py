"""Sweep files with changes that nobody would make on purpose, for test_mutated_files.py."""

import copy
import json
import tempfile
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

set_hypothesis_home_dir(tempfile.gettempdir() + "/hypothesis")  # Instead of a folder in the checkout.

FILES: list[dict[str, Any]] = [
    {
        "name": "small",
        "base": {
            "data": {"name": "digits", "validation": 200, "augment": {"crop_padding": 1, "cutout": {"size": 2}}},
            "model": {"name": model, **options},
            "optim": {"name": "sgd", "lr": 0.1, "schedule": {"name": "multistep", "milestones": [2], "gamma": 0.1}},
            "train": {"epochs": 3, "batch_size": 16, "micro_batch_size": 8, "drop_last": True},
        },
        **more,
    }
    for model, options in (
        ("cifar_resnet", {"depth": 8, "width": 4, "norm": {"name": "group", "groups": 4}}),
        ("wrn", {"depth": 10, "widening": 1, "norm": {"name": "batch"}}),
        ("cifar_densenet", {"depth": 10, "growth_rate": 4, "norm": {"name": "none"}}),
        ("pyramidnet", {"depth": 8, "alpha": 4.0, "width": 4}),
        ("cifar_resnext", {"depth": 11, "cardinality": 2, "group_width": 4, "se_reduction": 2}),
    )
    for more in (
        {"grid": {"train.batch_size": [8, 32]}, "seeds": 2},
        {"cases": [{"case": "A", "optim.lr": 0.2}, {"case": "B", "model.weight": "standardized"}], "seeds": [3, 5]},
        {
            "search": {"name": "random", "samples": 3},
            "grid": {"optim.lr": {"log_uniform": [1e-4, 1]}},
            "scheduler": {"name": "asha", "eta": 2},
            "resources": {"workers": 1, "max_concurrent": 2},
        },
    )
]
KEYS = [
    "", "name", "x", "grid", "base", "cases", "case", "seeds", "search", "scheduler", "resources", "report", "depth",
    "width", "limit", "train", "model.norm", "model.norm.groups", "model.depth", "optim.lr", "data.limit", "stream",
    "path", "size", "train.keep", "ema", "pretrained", "select", "published", "model.", "..", "samples",
]  # fmt: skip
WORDS = [
    "sgd", "adam", "lars", "batch", "online", "layer", "sync_batch", "evonorm_s0", "ghost_batch", "cosine", "folder",
    "cifar_resnet", "vgg", "torchvision", "resnet", "absent.py:N", "/dev/zero", "~nobody", "auto", "\x00", "é\n", "..",
]  # fmt: skip
HUGE = [10**6, 1_000_001, 10**6 + 2, 10**9, 2**31, 2**63 - 1, 2**63, 10**30, 10**400, -1, -(2**63)]
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.sampled_from(HUGE)
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=5,
)


def paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from paths(value, (*path, key))


def at(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


@st.composite
def resized(draw: st.DrawFn) -> str:
    """The text of a sweep file with other numbers."""
    data = copy.deepcopy(draw(st.sampled_from(FILES)))
    numbers = [path for path in paths(data) if isinstance(at(data, path), int | float)]
    for *sections, last in draw(st.lists(st.sampled_from(numbers), min_size=1, max_size=2, unique=True)):
        node = at(data, tuple(sections))
        factor = draw(st.sampled_from([1, 2, 3, 7, 20, 1000, 10**5, 10**6, 10**18, 0, -1]))
        node[last] = node[last] * factor + draw(st.sampled_from([0, 0, 1, 2, 6]))
    return json.dumps(data)  # JSON is YAML.


@st.composite
def garbled(draw: st.DrawFn) -> str:
    """The text of a sweep file with one to three changes of any kind, and perhaps a character too many."""
    data = copy.deepcopy(draw(st.sampled_from(FILES)))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        *sections, last = draw(st.sampled_from(list(paths(data)) or [("base",)]))
        node = at(data, tuple(sections))
        kind = draw(st.sampled_from(["replace", "delete", "rename", "add"]))
        if kind == "replace":
            node[last] = draw(VALUES)
        elif kind == "delete":
            del node[last]
        elif isinstance(node, list):
            node.append(draw(VALUES))
        elif kind == "rename":
            node[draw(st.sampled_from(KEYS))] = node.pop(last)
        else:
            node[draw(st.sampled_from(KEYS))] = draw(VALUES)
    text = json.dumps(data, ensure_ascii=draw(st.booleans()))
    for _ in range(draw(st.sampled_from([0] * 7 + [1, 2]))):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from("\t\n:{}[],&*!|>'\"%@`?-# 0aé\x00\ufeff")) + text[place:]
    return text
