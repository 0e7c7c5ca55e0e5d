"""The reference of sweep files: complete, and the same in the docs, in a terminal and in the code."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from wsnet.config import ConfigError, dotted_keys
from wsnet.config.__main__ import main
from wsnet.config.reading.keys import sweep_keys
from wsnet.config.reading.read import sweep_of
from wsnet.config.reading.reference import entries_of, of_sweep, of_trial
from wsnet.config.reading.reference_page import EXAMPLES, reference_page
from wsnet.config.reading.yaml_lines import YamlFile

ROOT = Path(__file__).parents[2]

SMALL = """\
name: small
base:
  data: {name: digits, validation: 300}
  model: {name: cifar_resnet, depth: 8, norm: {name: batch}}
  optim: {name: sgd, lr: 0.1}
  train: {epochs: 3, batch_size: 16}
"""


def test_the_page_in_the_docs_is_what_the_code_says() -> None:
    written = (ROOT / "docs" / "sweep-file.md").read_text()
    assert written == reference_page(), "run `python -m wsnet.config reference > docs/sweep-file.md`"


def test_every_key_that_a_file_may_set_is_there_with_a_meaning() -> None:
    filled_in = {"seed", "model.norm.source_file", "model.norm.source_sha256"}
    wanted = {key for key in dotted_keys() if not key.startswith("data.found")} - filled_in
    assert {entry.key for entry in of_trial()} == wanted
    assert {entry.key for entry in of_sweep()} == sweep_keys().keys()
    assert [entry.key for entry in (*of_trial(), *of_sweep()) if not entry.about or not entry.kind] == []


@pytest.mark.parametrize("section", EXAMPLES)
def test_every_example_is_part_of_a_valid_file(section: str) -> None:
    yaml = YAML(typ="safe", pure=True)
    whole, example = yaml.load(SMALL), yaml.load(EXAMPLES[section])
    base = whole["base"] | example.pop("base", {})
    if "momentum" in str(example):
        base["optim"] = {"name": "sgd"}
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(whole | example | {"base": base}, stream)
    assert sweep_of(YamlFile.parse(stream.getvalue(), "example.yaml")).settings


def test_a_key_names_its_values_its_default_and_who_takes_it() -> None:
    (groups,) = entries_of("model.norm.groups")
    assert (groups.kind, groups.default, groups.taken_by) == ("whole number >= 1", "32", ("group", "evonorm_s0"))
    momenta = {entry.taken_by: entry.default for entry in entries_of("base.model.norm.momentum")}
    assert momenta["batch", "sync_batch"] == "0.1" and momenta["batch_renorm",] == "0.01"
    (timeout,) = entries_of("resources.stall_timeout")
    assert (timeout.kind, timeout.default) == ("time such as 90s, 10min or 2h", "unset")


def test_a_single_name_stands_for_every_place_that_has_it() -> None:
    assert entries_of("norm") == entries_of("model.norm")
    assert {entry.key.split(".")[0] for entry in entries_of("momentum")} == {"model", "optim"}
    assert entries_of("norm.groups") == entries_of("model.norm.groups")


def test_the_name_of_a_network_or_a_norm_stands_for_the_keys_that_it_takes() -> None:
    keys = {entry.key for entry in entries_of("group")}
    assert keys == {"model.norm.name", "model.norm.groups", "model.norm.eps"}
    keys = {entry.key for entry in entries_of("cifar_resnet")}
    assert {"model.depth", "model.width", "model.norm", "model.weight"} <= keys
    assert not {"model.widening", "model.stem", "optim.lr"} & keys


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("model.nrom", "model.norm"), ("nrom", "norm"), ("optimm", "optim"), ("cifar_resnt", "cifar_resnet")],
)
def test_an_unknown_key_is_told_what_was_meant(wrong: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=rf"{wrong}: no key has this name; did you mean '.*{meant}'"):
        entries_of(wrong)


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("weight_standardization", "model.weight: standardized"),
        ("weight_norm", "model.weight: normalized"),
        ("batchnorm", "model.norm.name: batch"),
        ("SyncBatchNorm", "model.norm.name: sync_batch"),
        ("GN", "model.norm.name: group"),
    ],
)
def test_the_name_that_a_norm_has_elsewhere_leads_to_its_key(word: str, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{word}: no key has this name; did you mean '{key}'\?"):
        entries_of(word)


def test_a_misspelt_command_is_told_the_one_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["key"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith("invalid choice: 'key'; did you mean 'keys'?\n")


@pytest.mark.slow
def test_the_terminal_shows_a_section_and_ends_quietly_in_a_pipe() -> None:
    command = [sys.executable, "-m", "wsnet.config"]
    done = subprocess.run([*command, "keys", "optim.schedule"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "optim.schedule.gamma  [multistep]: number > 0; default 0.1\n    " in done.stdout
    refused = subprocess.run([*command, "keys", "optimm"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and refused.stderr.endswith("did you mean 'optim'?\n")
    shell = f"{sys.executable} -m wsnet.config keys | head -1"
    piped = subprocess.run(shell, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert piped.stdout.count("\n") == 1 and piped.stderr == ""
