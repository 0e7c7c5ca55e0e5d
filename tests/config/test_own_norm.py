"""`model.norm: {name: 'mynorm.py:MyNorm', ...}` in files and on the command line."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.config.files import SWEEP
from wsnet.config import ConfigError, Sweep, TrialConfig, canonical, read_sweep, read_trial, trial_id
from wsnet.config.norm import OwnNormConfig
from wsnet.config.reading.own_files import with_files
from wsnet.config.reading.yaml_lines import dump_yaml

CASE = "{model.norm.name: batch}"
OWN = "{model.norm.name: 'norms/mynorm.py:MyNorm', model.norm.alpha: 0.5}"
SOURCE = "class MyNorm: ...\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "norms").mkdir()
    (tmp_path / "norms" / "mynorm.py").write_text(SOURCE)
    return tmp_path


def read(folder: Path, changes: dict[str, str], overrides: list[str] | None = None) -> Sweep:
    text = SWEEP
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "s.yaml").write_text(text)
    return read_sweep(str(folder / "s.yaml"), overrides)


def mistakes(folder: Path, changes: dict[str, str], overrides: list[str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, changes, overrides)
    return [str(mistake).replace(f"{folder}/", "") for mistake in caught.value.mistakes]


def norms(sweep: Sweep) -> list[OwnNormConfig]:
    return [s.config.model.norm for s in sweep.settings if isinstance(s.config.model.norm, OwnNormConfig)]


def identity(file: str | Path, **options: Any) -> str:
    sections = {
        "data": {"name": "digits"},
        "model": {"name": "cifar_resnet", "depth": 8, "norm": {"name": f"{file}:MyNorm", **options}},
        "optim": {"name": "sgd", "lr": 0.1},
        "train": {"epochs": 1, "batch_size": 4},
    }
    return trial_id(TrialConfig.model_validate(with_files(sections)), data_hash="x")


def test_a_class_is_taken_with_its_options_and_the_hash_of_its_file(folder: Path) -> None:
    norm, _ = norms(read(folder, {CASE: OWN}))
    assert (norm.class_name, norm.options, norm.over_batch) == ("MyNorm", {"alpha": 0.5}, True)
    assert norm.source_file == str(folder / "norms" / "mynorm.py")
    assert norm.source_sha256 == hashlib.sha256(SOURCE.encode()).hexdigest()


def test_options_are_axes_and_are_set_on_the_command_line(folder: Path) -> None:
    found = read(folder, {CASE: "{model.norm.name: norms/mynorm.py:MyNorm, grid: {model.norm.alpha: [1, 2]}}"})
    assert [norm.options["alpha"] for norm in norms(found)] == [1, 2, 1, 2]
    assert "model.norm.alpha" in found.axes
    groups = {", model.norm.groups: 4": "", "name: group": "name: norms/mynorm.py:MyNorm", CASE: OWN}
    set_ = read(folder, groups, ["model.norm.alpha=[3, x]", "model.norm.beta=true"])
    assert norms(set_)[0].options == {"alpha": [3, "x"], "beta": True}
    assert {setting.axes["model.norm.name"] for setting in set_.settings} == {"norms/mynorm.py:MyNorm"}


def test_an_option_may_be_a_column_of_the_report(folder: Path) -> None:
    assert read(folder, {CASE: OWN, "seeds: 2": "seeds: 2\nreport: {columns: model.norm.alpha}"}).settings


def test_saying_that_images_do_not_mix_is_no_option_of_the_constructor(folder: Path) -> None:
    norm, _ = norms(read(folder, {CASE: OWN.replace("}", ", model.norm.batch_statistics: false}")}))
    assert not norm.over_batch and norm.options == {"alpha": 0.5}


def test_a_path_is_relative_to_the_file_and_on_the_command_line_to_the_working_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = folder / "elsewhere"
    other.mkdir()
    (other / "mynorm.py").write_text("class MyNorm: 'another'\n")
    monkeypatch.chdir(other)
    one = {CASE: OWN, "\n  - {model.norm.name: group, model.norm.groups: 4}": ""}
    assert norms(read(folder, one))[0].source_file == str(folder / "norms" / "mynorm.py")
    moved = norms(read(folder, one, ["model.norm.name=mynorm.py:MyNorm"]))[0]
    assert moved.source_file == str(other / "mynorm.py") and moved.options == {"alpha": 0.5}
    section = norms(read(folder, one, ["model.norm={name: mynorm.py:MyNorm}"]))[0]
    assert section.source_file == str(other / "mynorm.py")


def test_the_source_and_the_options_are_the_identity_and_the_path_is_not(folder: Path) -> None:
    file = folder / "norms" / "mynorm.py"
    before = identity(file, alpha=1)
    assert identity(file, alpha=2) != before != identity(file)
    assert identity(file, alpha=1, batch_statistics=False) != before
    moved = folder / "moved.py"
    moved.write_text(SOURCE)
    assert identity(moved, alpha=1) == before
    file.write_text(SOURCE + "# a comment\n")
    assert identity(file, alpha=1) != before


def test_the_canonical_form_has_the_class_and_no_path(folder: Path) -> None:
    setting = read(folder, {CASE: OWN}).settings[0]
    found = canonical(setting.config)["model"]["norm"]
    assert found.pop("source_sha256") and found == {"name": "MyNorm", "alpha": 0.5}


def test_a_configuration_goes_through_json_and_yaml(folder: Path) -> None:
    config = read(folder, {CASE: OWN}).settings[0].config
    assert TrialConfig.model_validate_json(config.model_dump_json()) == config
    (folder / "t.yaml").write_text(dump_yaml(config.model_dump(mode="json")))
    assert read_trial(str(folder / "t.yaml")) == config
    again = read_trial(str(folder / "t.yaml"), [f"model.norm.name={folder}/norms/mynorm.py:Other"])
    assert isinstance(again.model.norm, OwnNormConfig) and again.model.norm.class_name == "Other"


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (
            "{model.norm.name: norms/mynrm.py:MyNorm}",
            "s.yaml:8: cases[0].model.norm.name: no such file: norms/mynrm.py; did you mean 'norms/mynorm.py'?",
        ),
        (
            "{model.norm.name: mynorm.py}",
            "s.yaml:8: cases[0].model.norm.name: unknown name 'mynorm.py'; known: batch, sync_batch, ghost_batch, "
            "batch_renorm, group, layer, instance, filter_response, evonorm_s0, online, none, FILE.py:CLASS",
        ),
        (
            "{model.norm.name: 'norms/mynorm.py:MyNorm', model.norm.batch_statistics: 3}",
            "s.yaml:8: cases[0].model.norm.batch_statistics: must be true or false, but got 3",
        ),
        (
            "{model.norm.name: 'norms/mynorm.py:MyNorm', model.norm.alpha: .nan}",
            "s.yaml:8: cases[0].model.norm.alpha: must be finite, but got nan",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line(folder: Path, new: str, said: str) -> None:
    assert mistakes(folder, {CASE: new}) == [said]


def test_a_norm_of_wsnet_refuses_what_it_does_not_know_also_beside_an_own_norm(folder: Path) -> None:
    said = mistakes(folder, {CASE: OWN, "model.norm.groups: 4": "model.norm.grops: 4"})
    assert said == ["s.yaml:9: cases[1].model.norm.grops: unknown key; did you mean 'groups'?"]
    said = mistakes(folder, {"model.norm.groups: 4": "model.norm.grops: 4"})
    assert said == ["s.yaml:9: cases[1].model.norm.grops: unknown key; did you mean 'model.norm.groups'?"]
    said = mistakes(folder, {CASE: OWN}, ["model.norm.inner.alpha=3", "train.epoch=3"])
    assert [line.split(": ")[1] for line in said] == ["model.norm.inner.alpha", "train.epoch"]
    said = mistakes(folder, {"model.norm.groups: 4": "model.norm.groups: 4, model.norm.batch_statistics: true"})
    assert said == [
        "s.yaml:9: cases[1].model.norm.batch_statistics: has no effect with 'group'; only 'FILE.py:CLASS' takes it"
    ]


@pytest.mark.slow
def test_nothing_is_imported_to_read_it(folder: Path) -> None:
    (folder / "norms" / "mynorm.py").write_text("raise SystemExit(3)\n")
    read(folder, {CASE: OWN})
    code = "import sys; from wsnet.config import read_sweep; read_sweep(sys.argv[1]); print('torch' in sys.modules)"
    command = [sys.executable, "-c", code, str(folder / "s.yaml")]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_schema_for_editors_takes_it(folder: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from wsnet.config.reading.keys import sweep_schema, trial_schema
    from wsnet.config.reading.yaml_lines import YamlFile

    config = read(folder, {CASE: OWN}).settings[0].config
    validator = jsonschema.Draft202012Validator(sweep_schema())
    validator.validate(YamlFile.read(folder / "s.yaml").data)
    jsonschema.Draft202012Validator(trial_schema()).validate(config.model_dump(mode="json"))
    data = YamlFile.read(folder / "s.yaml").data
    data["base"]["model"]["norm"] = {"name": "batch", "alpha": 3}
    assert not validator.is_valid(data)
