"""What reports cost: the tables and the page of a large sweep, and the command for a small one.

    python benchmarks/report.py [--trials 10000] [--epochs 250] [--mlflow 0]

tables   `read_directory` and `table.md`, `table.csv`, `table.tex`, `trials.csv` of a sweep in run directories
         (bars for 10,000 trials of 250 epochs: 10 s, 1 GiB), and the same medians from a plain script: one
         `json.loads` for each line, a pandas table, a group-by.
page     `analyze.py RUNS_DIR`: tables, figures and page (bars: 60 s, 20 MB).
small    `analyze.py` on 60 trials, in turns with `import pyarrow, matplotlib.pyplot` (bar: 3 times that), and
         `analyze.py --help` (bar: 0.5 s).
mlflow   with --mlflow N: the tables of N runs without curves from an SQLite store (bar for 10,000: 60 s). Writing the
         runs takes far longer than reading them.
"""

import argparse
import math
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from no_work import GIB, ROOT, Usage, usage
from ratios import ratio

from wsnet.storage import Folder, Manifest, Status, TrialEntry, trial_directory
from wsnet.storage.trial_directory import Record

_NORMS, _SEEDS = ("batch", "group", "layer", "instance", "online"), 5

_TABLES = """
import sys
from wsnet.report.tables.csv_files import table_csv, trials_csv
from wsnet.report.tables.latex import latex
from wsnet.report.tables.markdown import markdown
from wsnet.report.tables.table import tabulate
from wsnet.report.{source} import {reader}
from wsnet.storage import Folder
results = {reader}({arguments})
table, cells = tabulate(results)
sizes = [len(text) for text in (markdown(table), table_csv(results, cells), latex(table), trials_csv(results))]
print(len(results.trials), "trials,", len(cells.cells), "cells")
"""

_PLAIN = """
import json, sys
from pathlib import Path
import pandas
folder = Path(sys.argv[1])
rows = []
for entry in json.loads((folder / "sweep.json").read_text())["trials"]:
    for line in (folder / "trials" / entry["trial_id"] / "records.jsonl").open():
        rows.append({**entry["axes"], "seed": entry["seed"], **json.loads(line)})
table = pandas.DataFrame(rows)
last = table[table["epoch"] == table["epoch"].max()]
print(len(last.groupby(["model.norm.name", "train.batch_size", "optim.lr"])["test/top1_error"].median()), "cells")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=250)
    parser.add_argument("--mlflow", type=int, default=0, metavar="N", help="also N runs in MLflow")
    parser.add_argument("--rounds", type=int, default=5, help="of the small sweep")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        large = write_sweep(Path(work, "large"), arguments.trials, arguments.epochs)
        about = f"{arguments.trials:,} trials of {arguments.epochs} epochs"
        ours = _python(_TABLES.format(source="read", reader="read_directory", arguments="Folder(sys.argv[1])"), large)
        print(f"tables, {about}: {_shown(ours)}")
        plain = _python(_PLAIN, large)
        print(f"plain script, {about}: {_shown(plain)}")
        print(f"the plain script takes {plain.seconds / ours.seconds:.1f} times as long")
        ratio("tables, plain script / wsnet", plain.seconds / ours.seconds, higher_is_better=True)
        page = usage([sys.executable, str(ROOT / "analyze.py"), str(large)])
        print(f"page, {about}: {_shown(page)}, {(large / 'report.html').stat().st_size / 1e6:.1f} MB")
        small(write_sweep(Path(work, "small"), 60, 3), arguments.rounds)
        if arguments.mlflow:
            mlflow(Path(work, "runs"), arguments.mlflow)


def small(folder: Path, rounds: int) -> None:
    """Print what the command takes for a small sweep, in turns with importing what every report needs."""
    commands = {
        "analyze.py": [sys.executable, str(ROOT / "analyze.py"), str(folder)],
        "imports": [sys.executable, "-c", "import pyarrow, matplotlib.pyplot"],
        "--help": [sys.executable, str(ROOT / "analyze.py"), "--help"],
    }
    times = [{name: usage(command).seconds for name, command in commands.items()} for _ in range(rounds)]
    for name in commands:
        print(f"60 trials, {name}: {statistics.median(each[name] for each in times):.2f} s")
    median = statistics.median(each["analyze.py"] / each["imports"] for each in times)
    print(f"60 trials: {median:.2f} times importing pyarrow and matplotlib")
    ratio("60 trials, analyze.py / its imports", median, higher_is_better=False)


def mlflow(folder: Path, runs: int) -> None:
    """Print what the tables take from an SQLite store."""
    from wsnet.tracking.client import connect, fail_fast
    from wsnet.tracking.upload import SweepRuns

    place = write_sweep(folder, runs, 1)
    uri, manifest = f"sqlite:///{place}/mlflow.db", Manifest.read(Folder(str(place)))
    with fail_fast():
        store = SweepRuns(connect(uri, create=True), Folder(str(place)), manifest, uri=uri, revision=None)
        for entry in manifest.trials:
            store.upload(entry.trial_id)
    code = _TABLES.format(source="read", reader="read_mlflow", arguments=f"{uri!r}, {manifest.name!r}")
    print(f"tables from MLflow, {runs:,} runs: {_shown(_python(code, place))}")


def write_sweep(folder: Path, trials: int, epochs: int) -> Path:
    """A sweep that has ended: norms x batch sizes x learning rates x seeds, with made-up measurements."""
    entries = list(_entries(trials))
    Manifest(
        name=folder.name,
        question="Which normalization holds when the batch gets small?",
        report={
            "rows": ["model.norm.name"],
            "columns": "train.batch_size",
            "metric": "test/top1_error",
            "statistic": "median",
            "select": {"over": ["optim.lr"], "by": "validation/top1_error", "settings": math.ceil(trials / _SEEDS)},
        },
        axes=["model.norm.name", "train.batch_size", "optim.lr"],
        trials=entries,
    ).write(Folder(str(folder)))
    earlier = _lines(folder, [_record(epoch, 50.0) for epoch in range(1, epochs)])
    for number, entry in enumerate(entries):
        directory = trial_directory(Folder(str(folder)), entry.trial_id)
        directory.folder.write("trial.yaml", f"train: {{epochs: {epochs}}}\nseed: {entry.seed}\n".encode())
        directory.write_records([_record(epochs, 5 + number % 97 / 20 + entry.seed / 10)])
        directory.folder.write("records.jsonl", earlier + (directory.folder.read("records.jsonl") or b""))
        directory.write_execution({"device_name": "made up", "threads": 1})
        directory.write_status(Status(status="finished", epoch=epochs))
    return folder


def _entries(trials: int) -> Iterator[TrialEntry]:
    sizes = [2**power for power in range(9)]
    for number in range(trials):
        setting, seed = divmod(number, _SEEDS)
        norm, batch, rate = setting % 5, setting // 5 % len(sizes), setting // 5 // len(sizes)
        yield TrialEntry(
            trial_id=f"{number:012x}",
            setting_id=f"{setting:012x}",
            seed=seed,
            name=f"{_NORMS[norm]}-b{sizes[batch]}-lr{rate}-s{seed}",
            axes={"model.norm.name": _NORMS[norm], "train.batch_size": sizes[batch], "optim.lr": 0.1 + rate / 1000},
        )


def _lines(folder: Path, records: list[Record]) -> bytes:
    directory = trial_directory(Folder(str(folder)), "first")
    directory.write_records(records)
    return directory.folder.read("records.jsonl") or b""


def _record(epoch: int, error: float) -> Record:
    record: Record = {"epoch": epoch, "lr": 0.1}
    for split in ("train", "validation", "test"):
        loss, top1, top5 = error / 30 + 1 / epoch, error + 30 / epoch, error / 4
        record |= {f"{split}/loss": loss, f"{split}/top1_error": top1, f"{split}/top5_error": top5}
    return record | {"time/epoch_seconds": 1.25, "time/images_per_second": 1234.5}


def _python(code: str, folder: Path) -> Usage:
    return usage([sys.executable, "-c", code, str(folder)])


def _shown(used: Usage) -> str:
    return f"{used.seconds:.1f} s, {used.cpu:.1f} s of CPU, {used.memory / GIB:.2f} GiB"


if __name__ == "__main__":
    main()
