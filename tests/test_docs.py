"""The documentation's examples work."""

import re
from pathlib import Path

import pytest

from tests.report.compared import CLOSE, FIVE, SHIFTED, declared, verdicts_of
from tests.shared import SHARED
from wsnet.config import read_sweep
from wsnet.config.reading.read import sweep_of
from wsnet.config.reading.yaml_lines import YamlFile
from wsnet.layers.check.cli import main
from wsnet.report.verdicts.intervals import smallest_p

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
OTHERS = (DOCS / "from-other-tools.md").read_text(encoding="utf-8")


def test_the_example_of_an_own_norm_passes_its_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (DOCS / "own-norm.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "mynorm.py").write_text(example)
    lines = re.findall(r"^ (\S.*?)  +(?:pass|note) ", text, re.MULTILINE)
    quick = [argument for line in lines if line not in ("cost", "torch.compile") for argument in ("--only", line)]
    options = ["--option", "power=0.5", "--option", "batch_statistics=false"]
    assert main(["check", f"{tmp_path}/mynorm.py:PowerNorm", *options, *quick]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "10 pass"


def test_the_readme_quotes_the_sweep_file_as_it_is_and_counts_its_trials() -> None:
    readme, file = ROOT / "README.md", ROOT / "sweeps" / "cifar_batchsize.yaml"
    (quoted,) = re.findall(r"```yaml\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    written = YamlFile.read(str(file)).data
    left_out = {"scheduler", "resources"}  # They are at their defaults.
    assert YamlFile.parse(quoted, "README").data == {
        key: value for key, value in written.items() if key not in left_out
    }
    sweep = read_sweep(str(file))
    trials = f"{len(sweep.settings) * len(sweep.config.seed_list)} trials"
    assert f", {trials} of 90 epochs" in readme.read_text(encoding="utf-8")
    assert f"= {trials}." in file.read_text(encoding="utf-8")


def test_the_example_of_comparisons_is_part_of_a_sweep_file_and_makes_as_many_as_is_said() -> None:
    *_, example = re.findall(r"```yaml\n(.*?)```", (DOCS / "reports.md").read_text(encoding="utf-8"), re.DOTALL)
    model = "model: {name: resnet, depth: 18, stem: cifar}"
    base = f"{{data: {{name: cifar10}}, {model}, optim: {{name: sgd, lr: 0.1}}, train: {{epochs: 1}}}}"
    found = sweep_of(YamlFile.parse(f"name: s\nbase: {base}\n{example}", "reports.md")).comparisons
    assert found is not None and found.count == 2


def test_the_verdicts_in_the_documentation_are_those_of_such_seeds() -> None:
    text = " ".join((DOCS / "reports.md").read_text(encoding="utf-8").split())
    cells = {("batch", 2): FIVE, ("group", 2): SHIFTED, ("batch", 8): FIVE, ("group", 8): CLOSE}
    for verdict in verdicts_of(cells, compare=declared(count=2)).verdicts:
        assert verdict.text in text


def test_the_examples_of_a_choice_are_parts_of_sweep_files() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", (DOCS / "reports.md").read_text(encoding="utf-8"), re.DOTALL)[:2]
    for text in examples:
        example = text if text.startswith("base:\n") else f"base:\n  data: {{name: cifar10}}\n{text}"
        example = example.replace("base:\n", "name: s\nbase:\n  model: {name: cifar_resnet, depth: 8}\n")
        example = example.replace("grid:\n", "  optim: {name: sgd}\n  train: {epochs: 1}\ngrid:\n")
        sweep = sweep_of(YamlFile.parse(example, "reports.md"))
        select = sweep.config.report.select
        assert select is not None and select.over == ("optim.lr",)
        assert (sweep.tuning is not None) == ("stages:" in text)


def test_the_smallest_p_in_the_documentation_are_those_of_the_footnote() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", (DOCS / "reports.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(seeds) for seeds, _ in rows] == [3, 5, 6]
    for seeds, written in rows:
        p = smallest_p(int(seeds))
        shown = zip(written.split(" | "), (p.paired, p.paired_one_sided, p.rank_sum), strict=True)
        assert all(float(text) == pytest.approx(value, rel=0.005) for text, value in shown)


def test_every_option_of_the_other_tools_is_mapped() -> None:
    if SHARED is None:
        pytest.skip("the other tools' READMEs are not here")
    tables = "\n".join(line for line in OTHERS.splitlines() if line.startswith("| "))
    missing = {}
    for readme in sorted((SHARED / "seeds").glob("*.md")):
        text = readme.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if re.search(r"\.py\b|^\s+\[?-|^\[?--|\[-", line)]
        options = set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", " ".join(lines)))
        missing[readme.stem] = sorted(o for o in options if not re.search(rf"`{re.escape(o)}(?![\w-])", tables))
    assert not any(missing.values()), missing
