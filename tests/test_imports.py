"""The folders of wsnet import in one direction, and no more than they need."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shared import SHARED

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "wsnet"
ORDER = ["config", "storage", "data", "layers", "models", "training", "tracking", "sweep", "report"]
NARROWER = {
    "config": set(),
    "storage": {"config"},
    "tracking": {"config", "storage"},
    "report": {"config", "storage", "tracking"},
}
"""Folders that may import less than everything to their left."""
HEAVY = {
    "config": {"torch", "pyarrow", "numpy", "ray", "mlflow", "matplotlib"},
    "storage": {"torch", "ray", "mlflow", "matplotlib"},
    "tracking": {"torch", "ray"},
    "report": {"torch", "ray"},
    "data": {"ray", "mlflow"},
    "layers": {"ray", "mlflow"},
    "models": {"ray", "mlflow", "triton"},
    "training": {"ray", "mlflow", "triton"},
}
"""What must not be loaded by importing a folder and those above it."""
SKIPPED = {".git", "__pycache__", ".venv", "venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}


def imported_folders(file: Path) -> Iterator[str]:
    """Folders of wsnet that a file imports from, anywhere in it."""
    here = file.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(here[: len(here) - node.level]) if node.level else ""
            module = ".".join(part for part in (package, node.module) if part)
            modules = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            parts = module.split(".")
            if parts[0] == "wsnet" and len(parts) > 1 and (PACKAGE / parts[1]).is_dir():
                yield parts[1]


@pytest.mark.parametrize("folder", ORDER)
def test_a_folder_imports_only_those_to_its_left(folder: str) -> None:
    allowed = NARROWER.get(folder, set(ORDER[: ORDER.index(folder)])) | {folder}
    wrong = [
        f"{file.relative_to(ROOT)} imports wsnet.{other}"
        for file in sorted((PACKAGE / folder).rglob("*.py"))
        for other in imported_folders(file)
        if other not in allowed
    ]
    assert wrong == []


def test_every_folder_has_its_place_in_the_order() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert folders <= set(ORDER)


def imported_modules(file: Path) -> Iterator[str]:
    """Modules of wsnet that a file imports anywhere, as paths; a package stands for its `__init__`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for path in (f"{node.module}.{alias.name}" for alias in node.names):
                yield path if (ROOT / f"{path.replace('.', '/')}.py").exists() else node.module


def test_no_modules_import_each_other_in_a_circle() -> None:
    files = [file for file in sorted(PACKAGE.rglob("*.py")) if file.name != "__init__.py"]
    imports = {".".join(f.relative_to(ROOT).with_suffix("").parts): set(imported_modules(f)) for f in files}
    while imports:
        free = [name for name, others in imports.items() if not others & imports.keys() - {name}]
        assert free, f"these are in a circle, or import one that is: {sorted(imports)}"
        for name in free:
            del imports[name]


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str]]:
    """What is loaded when a folder has been imported, after those above it in HEAVY: one process for all of them."""
    code = """
import json, sys
loaded = {}
for folder in sys.argv[1:]:
    exec(f"from wsnet.{folder} import *")  # Some folders load a module when a name of it is first used.
    loaded[folder] = [*sys.modules]
print(json.dumps(loaded))
"""
    command = [sys.executable, "-c", code, *HEAVY]
    return dict(json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout))


@pytest.mark.slow
@pytest.mark.parametrize("folder", HEAVY)
def test_importing_a_folder_loads_nothing_that_it_does_not_need(folder: str, loaded: dict[str, list[str]]) -> None:
    assert set(loaded[folder]) & HEAVY[folder] == set()


def test_no_file_holds_a_path_of_this_machine() -> None:
    places = {ROOT, ROOT.parent, Path.home(), *([SHARED] if SHARED else [])}
    if sys.prefix != sys.base_prefix:
        places.add(Path(sys.prefix))
    names = "|".join(re.escape(str(place)) for place in places if place != Path("/"))
    pattern = re.compile(rf"(?<![\w.~-])(?:{names})(?![\w-])")
    found = []
    for file in sorted(ROOT.rglob("*")):
        relative = file.relative_to(ROOT)
        if not file.is_file() or SKIPPED & set(relative.parts):
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # a picture or another binary file
            continue
        found += [f"{relative}: {match.group()}" for match in pattern.finditer(text)]
    assert found == []
