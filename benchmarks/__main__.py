"""`python -m benchmarks`: run benchmarks, collect their ratios, and compare them with recorded ones.

    python -m benchmarks [NAME ...] [--short] [--json FILE] [--check] [--recorded FILE]

Each benchmark runs as a process of its own, one after the other. What it prints is shown; the ratios that it reports
are written to FILE, with facts about the machine. Without names, all of them run, which takes hours: some train
networks for a long time. With --short, those run that take less than a minute, with fewer rounds; all of them together
take about a minute. --check compares the ratios with benchmarks/recorded.json, which `--short --json` wrote, and so
goes with --short. The exit status is 1 only if a ratio is worse than recorded by more than a third of the recorded
value three times in a row, for which the benchmark is run again; a bar that a benchmark misses is no failure here.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.guard import Worse, confirmed, read_recorded
from benchmarks.machine import machine
from benchmarks.ratios import FILE, Ratio, read_ratios

FOLDER = Path(__file__).parent
RECORDED = FOLDER / "recorded.json"

SHORT: dict[str, list[str]] = {
    "loop_efficiency": ["--threads", "1", "--rounds", "4", "--steps", "1"],
    "stacked": ["--rounds", "3", "--images", "32", "--cases", "digits:8"],
    "weight_standardization": ["--threads", "1", "--rounds", "3", "--steps", "1"],
}
"""Options with which a benchmark takes well under a minute. The others have no short version.

One thread each: several wait for one another wherever a processor is busy with something else.
"""


@dataclass(frozen=True)
class Run:
    """What a benchmark's process did: its exit status (1: a bar was missed), its seconds, and what it reported."""

    status: int
    seconds: float
    ratios: list[Ratio]


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    names = arguments.names or (list(SHORT) if arguments.short else listed())
    recorded = read_recorded(arguments.recorded) if arguments.check else {}
    facts, runs = machine(), {}
    failures: dict[str, list[Worse]] = {}
    for name in names:
        options = SHORT[name] if arguments.short else []
        runs[name] = run(name, options)
        if name in recorded:
            failures[name] = confirmed(
                runs[name].ratios, recorded[name], lambda name=name, options=options: run(name, options).ratios
            )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report(facts, runs), indent=1) + "\n", encoding="utf-8")
    return _conclude(runs, failures)


def listed() -> list[str]:
    """The benchmarks: the scripts in this folder."""
    files = sorted(file for file in FOLDER.glob("*.py") if not file.name.startswith("_"))
    return [file.stem for file in files if 'if __name__ == "__main__":' in file.read_text(encoding="utf-8")]


def run(name: str, options: list[str]) -> Run:
    """Run a benchmark in a process of its own, from the root of the checkout; what it prints is shown."""
    print(f"== {' '.join([name, *options])}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "ratios.jsonl"
        path = os.pathsep.join(filter(None, [str(FOLDER.parent), os.environ.get("PYTHONPATH")]))
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, str(FOLDER / f"{name}.py"), *options],
            cwd=FOLDER.parent,
            env={**os.environ, FILE: str(file), "PYTHONPATH": path},
        )
        return Run(done.returncode, time.monotonic() - began, read_ratios(file))


def report(facts: dict[str, Any], runs: dict[str, Run]) -> dict[str, Any]:
    """What --json writes: facts about the machine, and the ratios of each benchmark."""
    benchmarks = {
        name: {
            "status": run.status,
            "seconds": round(run.seconds, 1),
            "ratios": {
                ratio.name: {"value": round(ratio.value, 4), "higher_is_better": ratio.higher_is_better}
                for ratio in run.ratios
            },
        }
        for name, run in runs.items()
    }
    return {"machine": facts, "benchmarks": benchmarks}


def _conclude(runs: dict[str, Run], failures: dict[str, list[Worse]]) -> int:
    """Print the ratios, and those that are worse than recorded; return the exit status."""
    print()
    for name, run in runs.items():
        for ratio in run.ratios:
            print(f"{name:24}{ratio.value:8.3f}  {ratio.name}")
        if not run.ratios:
            print(f"{name:24}{'-':>8}  exit status {run.status}, no ratio")
    found = [f"{name}, {each}" for name, several in failures.items() for each in several]
    for line in found:
        print(f"worse than recorded, three times in a row: {line}", file=sys.stderr)
    return int(bool(found))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones (default: all); {', '.join(listed())}")
    parser.add_argument("--short", action="store_true", help=f"with fewer rounds; {', '.join(SHORT)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the ratios there")
    parser.add_argument("--check", action="store_true", help="compare them with the recorded ones")
    parser.add_argument("--recorded", type=Path, default=RECORDED, metavar="FILE", help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    known = list(SHORT) if arguments.short else listed()
    for name in arguments.names:
        if name not in known:
            kind = "short benchmark" if arguments.short else "benchmark"
            parser.error(f"there is no {kind} {name!r}; there are {', '.join(known)}")
    if arguments.check and not arguments.recorded.is_file():
        parser.error(f"--recorded {str(arguments.recorded)!r} does not exist; write it with --short --json FILE")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
