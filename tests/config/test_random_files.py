"""Whatever a file holds, a person is told; there is never a traceback."""

import copy
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.config.files import SWEEP
from wsnet.config import ConfigError
from wsnet.config.reading.located import Located
from wsnet.config.reading.only_and_smoke import smoke
from wsnet.config.reading.read import sweep_of
from wsnet.config.reading.yaml_lines import YamlFile

RANDOM = "search: {name: random, samples: 7}\ngrid:\n  optim.lr: {log_uniform: [1e-4, 1]}\n"
FILES = [
    SWEEP,
    SWEEP.replace("grid:\n", RANDOM),
    SWEEP.replace("seeds: 2", "seeds: 1\nscheduler: {name: asha, eta: 2}"),
]
VALUES: list[Any] = [
    None, True, 3, -1, 0, 1.5, float("nan"), float("inf"), -0.0, 10**30, 10**400, "x", "1e-3", "", "é\n", [], {}, [1],
    [[1]], [None], {"a": 1}, {"": 1}, {"name": "sgd"}, {"name": 3}, {"name": None}, {"name": [1]}, {"name": {"a": 1}},
    {"grid": {}}, {"uniform": [0, 1]},
    {"uniform": "a"}, {"log_uniform": [0, 0], "uniform": 3}, {"name": "group", "groups": 4},
    {"name": "absent.py:N"}, {"name": "é\n.py:N"}, {"name": "x.py:N", "source_sha256": "1", "": [{"a": math.nan}]},
    {"name": "x.py:N", "source_file": 3, "batch_statistics": "x"}, {"name": "~nobody/x.py:N"},
]  # fmt: skip
KEYS = [
    "", "name", "x", "train.batch_size", "model.norm", "model.norm.groups", "model.", "..", "grid", "base", "cases",
    "seed", "data.limit", "optim.lr", "train", "data.workers", "model.norm.alpha", "norm",
]  # fmt: skip
CHARACTERS = "\t\n:{}[],&*!|>'\"%@`?-# 0aé\x00\ufeff"


def paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from paths(value, (*path, key))


def mutate(data: dict[str, Any], generator: random.Random) -> None:
    *sections, last = generator.choice(list(paths(data)))
    node: Any = data
    for key in sections:
        node = node[key]
    kind = generator.randrange(4)
    if kind == 0:
        del node[last]
    elif kind == 1:
        node[last] = copy.deepcopy(generator.choice(VALUES))
    elif isinstance(node, list):
        node.append(copy.deepcopy(generator.choice(VALUES)))
    elif kind == 2:
        node[generator.choice(KEYS)] = node.pop(last)
    else:
        node[generator.choice(KEYS)] = copy.deepcopy(generator.choice(VALUES))


@pytest.mark.slow
def test_changed_data_gives_settings_or_mistakes() -> None:
    generator = random.Random(0)
    sources = [YamlFile.parse(text, "s.yaml") for text in FILES]
    good = 0
    for _ in range(2000):
        source = generator.choice(sources)
        data = copy.deepcopy(source.data)
        for _ in range(generator.choice([1, 1, 2])):
            mutate(data, generator)
        try:
            assert smoke(sweep_of(YamlFile("s.yaml", Located.of(data, "s.yaml:1")))).settings
            good += 1
        except ConfigError as error:
            assert all(len(str(mistake).splitlines()) == 1 for mistake in error.mistakes)
            assert "Input should" not in str(error)
    assert 100 < good < 1900


@pytest.mark.slow
def test_changed_text_gives_settings_or_mistakes() -> None:
    generator = random.Random(0)
    for _ in range(200):
        text = list(generator.choice(FILES))
        for _ in range(generator.choice([1, 2, 5])):
            text[generator.randrange(len(text))] = generator.choice(CHARACTERS)
        try:
            sweep_of(YamlFile.parse("".join(text), "s.yaml"))
        except ConfigError as error:
            assert all(len(str(mistake).splitlines()) == 1 for mistake in error.mistakes)
