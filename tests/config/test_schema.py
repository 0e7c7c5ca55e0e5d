"""The JSON schema for editors, and the sweep files that come with the code."""

import copy
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from wsnet.config import read_sweep
from wsnet.config.reading.read import sweep_of
from wsnet.config.reading.yaml_lines import YamlFile

jsonschema = pytest.importorskip("jsonschema")
SWEEPS = sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml"))
DESIGN = """\
name: cifar_batchsize
question: Which normalization holds when the batch gets small?
base:
  data:  {name: cifar10, augment: {crop_padding: 4, flip: true}}
  model: {name: resnet, depth: 18, stem: cifar}
  optim: {name: sgd, lr: 0.1, momentum: 0.9, weight_decay: 1e-4,
          schedule: {name: multistep, milestones: [30, 60], gamma: 0.1}}
  train: {epochs: 90}
cases:
  - {model.norm.name: batch}
  - {model.norm.name: group, model.norm.groups: 32, model.weight: standardized}
  - {model.norm.name: group, grid: {model.norm.groups: [16, 32]}}
grid:
  train.batch_size: [1, 2, 4, 8, 16, 32, 64, 128, 256]
seeds: 5
scheduler: {name: fifo}
resources: {workers: 1, gpus_per_worker: auto}
report: {rows: [model.norm.name, model.weight], columns: train.batch_size, metric: test/top1_error, statistic: median}
"""


@cache
def printed_schema(*more: str) -> Any:
    command = [sys.executable, "-m", "wsnet.config", "schema", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def validator() -> Any:
    return jsonschema.Draft202012Validator(printed_schema())


@pytest.mark.slow
def test_the_printed_schemas_are_json_schemas() -> None:
    for schema in (printed_schema(), printed_schema("--trial")):
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.slow
@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.name)
def test_every_sweep_that_comes_with_the_code_is_valid(path: Path, validator: Any) -> None:
    validator.validate(YamlFile.read(path).data)
    assert read_sweep(str(path)).settings


def test_the_sweep_of_the_design_loads(validator: Any) -> None:
    source = YamlFile.parse(DESIGN, "design.yaml")
    validator.validate(source.data)
    assert len(sweep_of(source).settings) == (1 + 1 + 2) * 9 - 0


def test_a_base_that_a_case_completes_is_valid(validator: Any) -> None:
    data = YamlFile.parse(DESIGN, "design.yaml").data
    data["base"]["model"]["norm"] = {"eps": 1e-3}
    assert list(validator.iter_errors(data)) == []


@pytest.mark.parametrize(
    "path",
    [
        ("bogus",),
        ("base", "bogus"),
        ("base", "seed"),
        ("base", "optim", "mometum"),
        ("grid", "train.bogus"),
        ("scheduler", "x"),
    ],
)
def test_an_unknown_key_is_rejected(path: tuple[str, ...], validator: Any) -> None:
    data = copy.deepcopy(YamlFile.parse(DESIGN, "design.yaml").data)
    section = data
    for name in path[:-1]:
        section = section[name]
    section[path[-1]] = [1]
    assert not validator.is_valid(data)
