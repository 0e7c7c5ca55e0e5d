"""Values know where they were written, also after merging."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.config.files import mistakes_of
from wsnet.config.data import DataConfig
from wsnet.config.reading.located import Located
from wsnet.config.reading.yaml_lines import YamlFile

FILE = "base:\n  a: {b: 1}\n  c:\n    - x\n    - y\ncase:\n  a.b:\n    2\n"


def spot(tree: Located, *path: str | int) -> tuple[str, str, bool]:
    found = tree.spot(path)
    return found.place, found.key, found.overridden


def test_every_value_has_its_line_and_its_key() -> None:
    tree = YamlFile.parse(FILE, "f.yaml").tree
    assert spot(tree, "base", "a", "b") == ("f.yaml:2", "base.a.b", False)
    assert spot(tree, "base", "c", 1) == ("f.yaml:5", "base.c[1]", False)
    assert tree.plain() == {"base": {"a": {"b": 1}, "c": ["x", "y"]}, "case": {"a.b": 2}}


def test_what_is_absent_has_the_place_around_it() -> None:
    tree = YamlFile.parse(FILE, "f.yaml").tree
    assert spot(tree, "base", "a", "z", "y") == ("f.yaml:2", "base.a.z.y", False)


def test_what_is_put_elsewhere_takes_its_place_along() -> None:
    tree = YamlFile.parse(FILE, "f.yaml").tree
    base, value = tree.at(("base",)), tree.at(("case", "a.b"))
    assert base is not None and value is not None
    merged = base.merged({"a.b": Located(value.value, value.place, "case.a.b"), "d.e": Located(3, "--set", "d.e")})
    assert merged.plain() == {"a": {"b": 2}, "c": ["x", "y"], "d": {"e": 3}}
    assert spot(merged, "a", "b") == ("f.yaml:7", "case.a.b", True)
    assert spot(merged, "a") == ("f.yaml:2", "a", False)
    assert spot(merged, "d", "e") == ("--set", "d.e", True)
    assert base.plain() == {"a": {"b": 1}, "c": ["x", "y"]}


def test_a_section_that_is_no_mapping_stays() -> None:
    assert Located.of({"a": 3}, "f.yaml:1").merged({"a.b": Located(1, "--set", "a.b")}).plain() == {"a": 3}


def test_a_mistake_of_the_command_line_is_shown_there_and_not_in_the_file() -> None:
    said = mistakes_of({}, overrides=["base.train.epochs=0", "grid.train.batch_size=[8, 8]", "report.columns=no.key"])
    assert said == [
        "--set: base.train.epochs: must be greater than or equal to 1, but got 0",
        "--set: grid.train.batch_size: an axis must not hold a value twice, but got [8, 8]",
        "--set: report.columns: unknown key 'no.key'; python -m wsnet.config keys lists all",
    ]


def test_validation_looks_at_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="with_images finds"):
        DataConfig(name="folder", path=str(tmp_path))
