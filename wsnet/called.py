"""How the user calls wsnet's commands: messages and help name them as this process was started.

| started as | messages say |
| --- | --- |
| `wsnet run ...` | `wsnet run`, `wsnet analyze`, ... |
| `python -m wsnet run ...` | `python -m wsnet run`, ... |
| `python run_sweep.py ...`, `python -m wsnet.training ...` | `python run_sweep.py`, `python analyze.py`, ... |
| anything else, such as a notebook | as the last, if wsnet is run from its source tree; otherwise `wsnet run`, ... |
"""

import shlex
import sys
from pathlib import Path

__all__ = ["OF_RUN", "SCRIPTS", "called", "program"]

SCRIPTS = {
    "run": "run_sweep.py",
    "analyze": "analyze.py",
    "train": "-m wsnet.training",
    "models": "-m wsnet.models",
    "layers": "-m wsnet.layers",
    "data": "-m wsnet.data",
    "config": "-m wsnet.config",
}
"""By command of `wsnet`, what does the same in the source tree, after `python`."""


OF_RUN = ("status", "stop", "retry", "gc", "init")
"""Commands of `run_sweep.py`, which `wsnet` takes without `run` too."""


def called(command: str) -> str:
    """A command as the user may type it, such as `python run_sweep.py` or `wsnet run`.

    Args:
        command: its name as a command of `wsnet`.
    """
    if command in OF_RUN:
        run = called("run")
        is_after_run = sys.argv[1:3] == ["run", command] or not run.endswith(" run")
        return f"{run if is_after_run else run.removesuffix(' run')} {command}"
    started = Path(sys.argv[0] if sys.argv else "")
    if started.stem == "wsnet":
        return f"wsnet {command}"
    if (started.parent.name, started.name) == ("wsnet", "__main__.py"):
        return f"python -m wsnet {command}"
    if started.name in SCRIPTS.values() and SCRIPTS.get(command, "").endswith(".py"):
        return f"python {shlex.quote(str(started.parent / SCRIPTS[command]))}"
    is_source_tree = (Path(__file__).parents[1] / SCRIPTS["run"]).exists()
    if command in SCRIPTS and (is_source_tree or not SCRIPTS[command].endswith(".py")):
        return f"python {SCRIPTS[command]}"
    return f"wsnet {command}"


def program(command: str) -> str:
    """A command as its help and its errors name it: `called`, without `python` before a script."""
    words = called(command)
    return words if words.startswith("python -m") else words.removeprefix("python ")
