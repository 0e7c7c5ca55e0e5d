"""The sweep files that come with wsnet, found by name from anywhere: `quickstart`."""

import os
from pathlib import Path

from wsnet.config.errors import ConfigError, Mistake, did_you_mean

__all__ = ["example_sweeps", "sweep_file"]


def example_sweeps() -> dict[str, Path]:
    """The files by name: in the installed package, or beside it in the source tree."""
    package = Path(__file__).parents[1]
    folder = next((path for path in (package / "sweeps", package.parent / "sweeps") if path.is_dir()), package)
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def sweep_file(name: str) -> str:
    """The path of a sweep file; a name without a folder and an ending may be that of an example.

    Args:
        name: a path, which counts if it exists, or the name of an example.

    Raises:
        ConfigError: it is neither, nor looks like a path.
    """
    if os.path.exists(name) or Path(name).name != name or Path(name).suffix:
        return name
    examples = example_sweeps()
    if name not in examples:
        hint = did_you_mean(name, examples) or "; give the path of a sweep file"
        raise ConfigError([Mistake(name, "", f"no such file, and no example of this name{hint}")])
    path = examples[name]
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
