"""Norms from users' files: how they are loaded, made and begun."""

from pathlib import Path
from typing import Any

import pytest
import torch

from wsnet.config.norm import OwnNormConfig
from wsnet.config.reading.own_files import with_source
from wsnet.layers import Layers, OwnNormError, initialize, load_own_norm, make_norm

OWN = Path(__file__).parents[1] / "own_norms.py"


def config(name: str, file: Path = OWN, **options: Any) -> OwnNormConfig:
    return OwnNormConfig.model_validate(with_source({"name": f"{file}:{name}", **options}))


def made(name: str, seed: int | None = 0, **options: Any) -> Any:
    norm = Layers(config(name, **options)).norm(4, size=(2, 3))
    if seed is not None:
        initialize(norm, seed)
    return norm


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


def test_options_reach_the_constructor() -> None:
    norm = made("PowerNorm", power=0.5)
    assert (norm.power, norm.eps) == (0.5, 1e-5)
    assert made("Inner", momentum=0.3).inner.momentum == 0.3


def test_a_constructor_that_takes_a_size_gets_that_of_the_maps() -> None:
    assert made("Sized").weight.shape == (4, 2, 3)


def test_parameters_begin_as_the_constructor_says() -> None:
    assert made("PowerNorm").gain.unique().item() == 2  # No rule of wsnet's knows the name.
    assert made("Inner").inner.weight.unique().item() == 1  # The layer inside has a reset_parameters of its own.


def test_random_parameters_come_from_the_seed_and_the_place() -> None:
    torch.manual_seed(3)
    one = made("Sized", seed=5).weight
    torch.manual_seed(4)
    torch.testing.assert_close(made("Sized", seed=5).weight, one, rtol=0, atol=0)
    assert not torch.equal(made("Sized", seed=6).weight, one)
    assert torch.equal(made("Sized", seed=None).weight, made("Sized", seed=None).weight)
    inner = torch.nn.Sequential(made("Sized", seed=None), made("Sized", seed=None))
    initialize(inner, 5)
    assert not torch.equal(inner[0].weight, inner[1].weight)


def test_a_residual_branch_can_begin_at_zero() -> None:
    layers = Layers(config("Sized"), residual_init="zero")
    norm: Any = layers.norm(4, size=(2, 3))
    layers.end_branch(layers.conv(4, 4, 3), norm)
    initialize(norm, 0)
    assert not norm.weight.any()


def test_the_random_numbers_of_the_caller_are_left_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    made("Sized")
    assert torch.equal(torch.rand(1), expected)


def test_a_file_is_run_once_and_its_moved_copy_is_another_module(tmp_path: Path) -> None:
    assert load_own_norm(config("PowerNorm")) is load_own_norm(config("PowerNorm", power=2))
    copy = written(tmp_path, OWN.read_text())
    assert load_own_norm(config("PowerNorm", copy)) is not load_own_norm(config("PowerNorm"))


def test_a_file_that_has_changed_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, OWN.read_text())
    before = config("PowerNorm", file)
    load_own_norm(before)
    file.write_text(OWN.read_text() + "# more\n")
    with pytest.raises(OwnNormError, match=r"mine\.py has changed since the trial was planned \(SHA-256 "):
        make_norm(before, 4, (2, 2))
    file.unlink()
    with pytest.raises(OwnNormError, match=r"mine\.py cannot be read: No such file"):
        make_norm(before, 4, (2, 2))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import torch\nx = undefined\n", "mine.py:2: NameError: name 'undefined' is not defined"),
        ("class N(\n", "mine.py:1: SyntaxError: '(' was never closed"),
        ("def f():\n    raise KeyError('k')\n\nf()\n", "mine.py:2: KeyError: 'k'"),
        ("import not_there\n", "mine.py:1: ModuleNotFoundError: No module named 'not_there'"),
        ("import helper\n", "must be in a single file, since only that file is hashed: merge the two files"),
        ("x = 1\n", "has no class 'N'; it defines no class"),
        ("N = 3\n", "N must be a class derived from torch.nn.Module, but is of type int"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "helper.py").touch()
    with pytest.raises(OwnNormError) as caught:
        load_own_norm(config("N", written(tmp_path, text)))
    assert said in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_what_the_constructor_refuses_is_told_in_its_own_words() -> None:
    with pytest.raises(
        OwnNormError, match=r"Sized\(4, size=\(2, 3\), level=-1\) raised .*own_norms\.py:\d+: ValueError"
    ):
        made("Sized", level=-1)
