"""docs/python.md and docs/python.ipynb: what they show works."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torchvision
from torch import nn

import wsnet
import wsnet.layers

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "python.md").read_text(encoding="utf-8")


def example(start: str) -> str:
    """The code block that begins with this text."""
    (found,) = [block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if block.startswith(start)]
    return found


def test_every_public_layer_and_name_is_listed() -> None:
    layers = TEXT[TEXT.index("## Layers") :]
    listed = {
        name for row in re.findall(r"^\| (`[A-Z\w`, ]+`) \|", layers, re.MULTILINE) for name in row.split("`")[1::2]
    }
    assert listed == set(wsnet.layers.__all__)
    assert all(f"`wsnet.{name}`" in TEXT for name in wsnet.__all__ if name not in ("__version__", "FinishedSweep"))
    assert all(getattr(wsnet, name) is not None for name in wsnet.__all__)
    assert set(wsnet.__all__) <= set(dir(wsnet))


def test_the_example_of_layers_is_a_module() -> None:
    space = {"nn": nn}
    exec(example("from wsnet.layers"), space)
    assert len(space["block"]) == 3  # type: ignore[arg-type]


def test_the_examples_of_networks_make_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mynorm.py").write_text("import torch\n\nclass MyNorm(torch.nn.BatchNorm2d):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    first, _, *others = re.findall(r"^model = wsnet\.model\((.*)\)$", TEXT, re.MULTILINE)
    with pytest.raises(wsnet.Error) as caught:
        eval(f"wsnet.model({first})")
    assert f"```\n{caught.value}\n```" in TEXT
    with pytest.raises(wsnet.ConfigError) as wrong:
        wsnet.model("cifar_resnet", depht=20, norm="grup")
    assert f"```\n{wrong.value}\n```" in TEXT
    assert len(others) == 3
    for call in others:
        assert isinstance(eval(f"wsnet.model({call.replace(', pretrained=True', '')})"), nn.Module)


@pytest.mark.slow
def test_the_examples_of_replaced_norms_replace_them() -> None:
    calls = re.findall(r"^model = wsnet\.replace_norms\((.*)\)$", TEXT, re.MULTILINE)
    assert len(calls) == 3
    for call in calls:
        my_model = torchvision.models.resnet18()
        model = eval(f"wsnet.replace_norms({call})", {"wsnet": wsnet, "torchvision": torchvision, "my_model": my_model})
        assert not any(type(module) is nn.BatchNorm2d for module in model.modules())


@pytest.mark.slow
def test_the_notebook_runs_from_its_first_cell_to_its_last(tmp_path: Path) -> None:
    cells = json.loads((DOCS / "python.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    check = "assert len(trials) == 12 and set(trials.status) == {'finished'} and len(epochs) == 36"
    (tmp_path / "notebook.py").write_text(f"{code}\n{check}\n")
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(DOCS.parent)}
    done = subprocess.run(
        [sys.executable, "notebook.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "notebook" / "report.html").exists()


def test_every_cell_of_the_notebook_shows_what_it_gave() -> None:
    cells = json.loads((DOCS / "python.ipynb").read_text(encoding="utf-8"))["cells"]
    kinds = [kind for cell in cells for output in cell.get("outputs", ()) for kind in output["data"]]
    assert kinds.count("image/png") == 1 and kinds.count("text/html") == 2
