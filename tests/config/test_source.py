"""Reading a file: what is no YAML, no mapping or not there."""

import sys
from pathlib import Path

import pytest

from tests.config.files import SWEEP, sweep
from wsnet.config import ConfigError, read_sweep, read_trial
from wsnet.config.reading.yaml_lines import YamlFile


def test_a_file_nested_beyond_all_bounds_is_told_in_one_line() -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)  # torch.compile, in another test, may have raised it.
    try:
        with pytest.raises(ConfigError, match=r"^f\.yaml:1: not valid YAML: nested too deeply$"):
            YamlFile.parse("[" * 800, "f.yaml")
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f.yaml:1: the file is empty"),
        ("# nothing\n", "f.yaml:1: the file is empty"),
        ("- 1\n", "f.yaml:1: must be a mapping of keys to values, but is not"),
        ("a: 1\na: 2\n", "f.yaml:2: a: duplicate key; keep one of them"),
        (
            "a:\n\tb: 1\n",
            "f.yaml:2: not valid YAML: found character '\\t' that cannot start any token; "
            "indent with spaces, not with tabs",
        ),
    ],
)
def test_a_file_that_is_no_mapping_is_told_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        YamlFile.parse(text, "f.yaml")
    assert str(caught.value) == said


def test_an_absent_file_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").write_text(SWEEP)
    with pytest.raises(ConfigError, match=r"no such file; did you mean '.*digits\.yaml'\?"):
        read_sweep(str(tmp_path / "digit.yaml"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_sweep(str(tmp_path))


def test_a_file_that_nothing_resembles_is_not_said_to_be_a_hidden_one(tmp_path: Path) -> None:
    (tmp_path / ".pre-commit-config.yaml").write_text("repos: []")
    with pytest.raises(ConfigError, match=r"no such file$"):
        read_sweep(str(tmp_path / "nothing.yaml"))
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "quickstart.yaml").write_text(SWEEP)
    with pytest.raises(ConfigError, match=r"did you mean '.*sweeps/quickstart\.yaml'\?"):
        read_sweep(str(tmp_path / "quickstart"))


def test_the_file_of_a_trial_and_that_of_a_sweep_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    with pytest.raises(ConfigError, match=r"sweep\.yaml:1: this is a sweep file.*run_sweep\.py .*sweep\.yaml`$"):
        read_trial(str(tmp_path / "sweep.yaml"))
    trial = "data: {name: digits}\nmodel: {name: vgg, depth: 11}\ntrain: {epochs: 1, batch_size: 1}"
    (tmp_path / "trial.yaml").write_text(trial)
    with pytest.raises(
        ConfigError, match=r"trial\.yaml:1: this is the file of one trial.*wsnet\.training .*trial\.yaml`$"
    ):
        read_sweep(str(tmp_path / "trial.yaml"))


def test_a_number_in_exponent_form_is_a_number() -> None:
    assert sweep({"lr: 0.1": "lr: 1e-3"}).settings[0].config.optim.lr == 1e-3


INDENTED = "is this line indented as far as the other keys of its section?"


@pytest.mark.parametrize(
    ("text", "line", "way_out"),
    [
        ("a: 1\n b: 2\n", 2, INDENTED),
        ("a:\n   b: 1\n  c: 2\n", 3, INDENTED),
        ("a: {b: 1, c: [2]\nd: 3\n", 2, "is the '{' of line 1 closed?"),
        ("a: 1\nb: [1,\n  2\nc: 3\n", 4, "is the '[' of line 2 closed?"),
        ("a: 1\nb: 'text\nc: 3\n", 4, "is the quote of line 2 closed?"),
        ("a: one: two\n", 1, "a text with a colon needs quotes"),
    ],
)
def test_what_is_no_yaml_leads_to_its_probable_cause(text: str, line: int, way_out: str) -> None:
    with pytest.raises(ConfigError) as caught:
        YamlFile.parse(text, "f.yaml")
    assert str(caught.value).startswith(f"f.yaml:{line}: not valid YAML: ")
    assert str(caught.value).endswith(f"; {way_out}")


def test_the_folder_of_a_sweep_leads_to_what_shows_it_and_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"is the folder of a sweep, not its file; see `.*status .*` and `.*analyze"):
        read_sweep(str(tmp_path))
