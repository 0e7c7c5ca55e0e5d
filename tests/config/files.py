"""A sweep file for tests to change."""

import pytest

from wsnet.config import ConfigError, Sweep
from wsnet.config.reading.read import sweep_of
from wsnet.config.reading.yaml_lines import YamlFile

__all__ = ["SWEEP", "mistakes_of", "sweep"]

SWEEP = """\
name: small
base:
  data: {name: digits, validation: 200}
  model: {name: cifar_resnet, depth: 8}
  optim: {name: sgd, lr: 0.1}
  train: {epochs: 3, batch_size: 16}
cases:
  - {model.norm.name: batch}
  - {model.norm.name: group, model.norm.groups: 4}
grid:
  train.batch_size: [8, 32]
seeds: 2
"""


def _text(changes: dict[str, str]) -> str:
    text = SWEEP
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old!r} must be in the file once"
        text = text.replace(old, new)
    return text


def sweep(changes: dict[str, str] | None = None, *, overrides: list[str] | None = None) -> Sweep:
    """The sweep, with pieces of its text replaced."""
    return sweep_of(YamlFile.parse(_text(changes or {}), "s.yaml"), overrides)


def mistakes_of(changes: dict[str, str], *, overrides: list[str] | None = None) -> list[str]:
    """What is said of the changed sweep, line by line."""
    with pytest.raises(ConfigError) as caught:
        sweep(changes, overrides=overrides)
    return str(caught.value).splitlines()
