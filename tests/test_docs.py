"""The documentation's examples work."""

import re
from pathlib import Path

import pytest

from wsnet.layers.check.cli import main

DOCS = Path(__file__).parents[1] / "docs"


def test_the_example_of_an_own_norm_passes_its_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (DOCS / "own-norm.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "mynorm.py").write_text(example)
    lines = re.findall(r"^ (\S.*?)  +(?:pass|note) ", text, re.MULTILINE)
    quick = [argument for line in lines if line not in ("cost", "torch.compile") for argument in ("--only", line)]
    options = ["--option", "power=0.5", "--option", "batch_statistics=false"]
    assert main(["check", f"{tmp_path}/mynorm.py:PowerNorm", *options, *quick]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "10 pass"
