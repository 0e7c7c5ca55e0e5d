"""Files that would take minutes or gigabytes, or hang, are refused with one short message."""

import os
from pathlib import Path

import pytest

from wsnet.config import ConfigError, read_sweep
from wsnet.config.errors import Mistake

SWEEP = """
name: hostile
question: what?
base:
  data: {name: digits}
  model: {name: cifar_resnet, depth: 8}
  optim: {name: sgd, lr: 0.1}
  train: {epochs: 1, batch_size: 8}
"""


def message(text: str, folder: Path) -> str:
    path = folder / "sweep.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_sweep(str(path), [])
    return str(caught.value)


@pytest.mark.slow
def test_aliases_of_aliases(tmp_path: Path) -> None:
    laughs = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    laughs += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    assert "must have at most 500,000 values" in message(SWEEP + laughs, tmp_path)


def test_a_pipe_a_folder_and_a_huge_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "huge.yaml").write_bytes(b"#" * 11_000_000)
    for name, rule in (
        ("pipe.yaml", "must be a file"),
        (".", "must be a file"),
        ("huge.yaml", "must have at most 10 MB"),
    ):
        with pytest.raises(ConfigError, match=rule):
            read_sweep(str(tmp_path / name), [])


@pytest.mark.parametrize("number", ["0x" + "f" * 100_000, "9" * 4000])
def test_a_number_with_thousands_of_digits(number: str, tmp_path: Path) -> None:
    text = message(SWEEP.replace("epochs: 1", f"epochs: {number}"), tmp_path)
    assert "sweep.yaml:8: base.train.epochs: must be a number of at most 64 bits" in text and len(text) < 5000


@pytest.mark.slow
def test_a_value_of_megabytes_is_cut_in_its_message(tmp_path: Path) -> None:
    long = "x" * 5_000_000
    for line, key in ((f"name: {long}", "base.optim"), (f"name: sgd, momentum: {long}", "base.optim.momentum")):
        text = message(SWEEP.replace("name: sgd", line), tmp_path)
        assert f"sweep.yaml:7: {key}" in text and len(text) < 7000
    assert str(Mistake("a.yaml:1", "key", f"is {long}.")) == (
        f"a.yaml:1: key: is {long[:997]} ... (4,998,004 characters) ... {long[:999]}."
    )


def test_settings_without_end_are_counted_and_refused(tmp_path: Path) -> None:
    rule = "a sweep must have at most 100,000 settings, but this makes"
    drawn = "search: {name: random, samples: 3000000000}\ngrid: {optim.lr: {uniform: [0, 1]}}\n"
    assert f"sweep.yaml:9: search: {rule} 3,000,000,000" in message(SWEEP + drawn, tmp_path)
    values = list(range(1, 101))
    crossed = "".join(f"  {key}: {values}\n" for key in ("train.epochs", "model.width", "train.batch_size"))
    assert f"sweep.yaml:9: grid: {rule} 1,000,000" in message(f"{SWEEP}grid:\n{crossed}", tmp_path)
