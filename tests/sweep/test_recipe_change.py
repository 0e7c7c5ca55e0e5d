"""A recipe that changes while the sweep keeps its name, from the command to the reports."""

from pathlib import Path

import pytest

from tests.sweep.tiny import write
from tests.sweep.trained import run_trained
from wsnet.report.cli import main
from wsnet.storage import Manifest
from wsnet.storage.recipes import earlier_recipes


@pytest.mark.slow
def test_a_recipe_that_the_command_line_changes_leaves_the_earlier_report_beside_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path)
    folder = run_trained(file, tmp_path)
    table = folder.read("table.md")
    capsys.readouterr()
    run_trained(file, tmp_path, "optim.weight_decay=0.01")
    said = " ".join(capsys.readouterr().out.split())
    assert "the recipe has changed (optim.weight_decay was not set, now 0.01): its earlier report is in " in said
    assert ". To keep both, give this one another --storage, or another name in its file" in said
    ((earlier, _),) = earlier_recipes(folder)
    assert earlier.read("table.md") == table
    assert Manifest.read(folder).report["fixed"]["optim.weight_decay"] == 0.01
    assert b"optim.weight_decay 0.01" in (folder.read("table.md") or b"")
    assert main([folder.location]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"an earlier recipe (optim.weight_decay was not set, now 0.01): {earlier.location}/table.md" in out
    run_trained(file, tmp_path)
    said = " ".join(capsys.readouterr().out.split())
    assert "To continue the earlier one, interrupt this and add --set optim.weight_decay=0.01; to keep both, " in said
