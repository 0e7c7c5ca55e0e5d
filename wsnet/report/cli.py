"""`python analyze.py`: tables and a figure of a sweep, from its folder or from MLflow."""

# Slow imports are inside the functions that use them: `--help` needs none of them.
import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wsnet.report import ReportError

if TYPE_CHECKING:
    from wsnet.report.results import Results

__all__ = ["find_sweep", "main", "sweeps_in"]


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Returns:
        the exit status: 0, or 2 for a user error, reported in one line on stderr.
    """
    arguments = _parser().parse_args(argv)
    from wsnet.storage import StorageError
    from wsnet.tracking import TrackingError

    try:
        return _analyze(arguments)
    except (ReportError, StorageError, TrackingError, OSError) as error:
        print(f"analyze.py: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="analyze.py",
        description="Write table.md, table.csv, trials.csv and figure.png of a sweep: medians over its seeds.",
        epilog="Example: python analyze.py runs/cifar_batchsize --metric validation/top1_error",
    )
    parser.add_argument("runs", nargs="?", metavar="RUNS_DIR", help="a sweep's folder; default: the newest in runs/")
    parser.add_argument("--tracking-uri", metavar="URI", help="read from MLflow instead, such as http://127.0.0.1:5000")
    parser.add_argument("--experiment", metavar="NAME", help="the sweep's name in MLflow; goes with --tracking-uri")
    parser.add_argument("--out", metavar="DIR", help="where to write; default: RUNS_DIR, or ./NAME-report with MLflow")
    parser.add_argument(
        "--metric",
        metavar="M",
        help="what the cells show; default: what the sweep file says. Without --out, the files of another metric are "
        "named after it, such as table-validation-loss.md, beside those of the sweep's own",
    )
    parser.add_argument(
        "--layers",
        action="store_true",
        help="also draw layers.png and write layers.csv, for trials with train.diagnostics; "
        "RUNS_DIR may then also hold trials trained outside a sweep",
    )
    return parser


def _analyze(arguments: argparse.Namespace) -> int:
    if arguments.layers and _is_of_trials(arguments):
        return _write_layers(arguments.runs, arguments.out or arguments.runs)
    results, place = _read(arguments)
    suffix = ""
    if arguments.metric is not None:
        if arguments.out is None and arguments.metric != results.header.metric:  # The sweep's own report stays.
            suffix = "-" + arguments.metric.replace("/", "-")
        results = results.with_metric(arguments.metric)
    from rich.console import Console

    from wsnet.report.terminal import print_table
    from wsnet.report.write import write_report

    paths = write_report(results, arguments.out or place, suffix=suffix)
    print_table(results, Console())
    for path in paths:
        print(f"wrote {path}")
    return _write_layers(place, arguments.out or place) if arguments.layers else 0


def _is_of_trials(arguments: argparse.Namespace) -> bool:
    """Whether RUNS_DIR holds trials trained outside a sweep; call it only with `--layers`."""
    from wsnet.report.layers import trials_in
    from wsnet.storage import Folder

    if arguments.tracking_uri is not None or arguments.experiment is not None:
        raise ReportError("--layers needs RUNS_DIR: MLflow does not have the layers' measurements")
    if arguments.runs is None or Folder(arguments.runs).exists("sweep.json") or not trials_in(Folder(arguments.runs)):
        return False
    if arguments.metric is not None:
        raise ReportError(f"--metric needs a sweep, but {arguments.runs!r} holds trials trained outside one")
    return True


def _write_layers(place: str, out: str) -> int:
    from wsnet.report.layers import layers_csv, read_layers
    from wsnet.report.layers_figure import MOST_ROWS, layers_png
    from wsnet.storage import Folder

    settings = read_layers(Folder(place))
    if len(settings) > MOST_ROWS:
        print(f"layers.png shows the first {MOST_ROWS} of {len(settings)} settings; layers.csv has them all")
    for name, data in (("layers.csv", layers_csv(settings).encode()), ("layers.png", layers_png(settings))):
        Folder(out).write(name, data)
        print(f"wrote {(Folder(out) / name).location}")
    return 0


def _read(arguments: argparse.Namespace) -> "tuple[Results, str]":
    """The results, and the default folder for their report."""
    from wsnet.report.read import read_directory, read_mlflow
    from wsnet.storage import Folder

    mlflow = arguments.tracking_uri is not None or arguments.experiment is not None
    if mlflow and arguments.runs is not None:
        raise ReportError("give either RUNS_DIR or --tracking-uri with --experiment, not both")
    if mlflow and (arguments.tracking_uri is None or arguments.experiment is None):
        missing = "--experiment" if arguments.experiment is None else "--tracking-uri"
        raise ReportError(f"--tracking-uri and --experiment go together, but {missing} is missing")
    if mlflow:
        return read_mlflow(arguments.tracking_uri, arguments.experiment), f"{arguments.experiment}-report"
    if arguments.runs is None:
        place = find_sweep("runs")
        print(f"newest sweep: {place}")
    else:
        place = arguments.runs
        _check_is_sweep(place)
    return read_directory(Folder(place)), place


def find_sweep(folder: str) -> str:
    """The newest sweep directly below a local folder.

    Raises:
        ReportError: there is none.
    """
    sweeps = sweeps_in(folder)
    if not sweeps:
        raise ReportError(f"no sweep below ./{folder}; give the folder of a sweep that run_sweep.py wrote")
    return sweeps[0]


def sweeps_in(folder: str) -> list[str]:
    """Sweeps directly below a local folder, newest first; empty if the folder is absent or remote."""
    manifests = Path(folder).glob("*/sweep.json") if "://" not in folder else ()
    newest_first = sorted(manifests, key=lambda path: (-path.stat().st_mtime, path))
    return [os.path.normpath(path.parent) for path in newest_first]


def _check_is_sweep(place: str) -> None:
    """Raise if a folder holds no sweep, with a suggestion of what the user may have meant."""
    from wsnet.config.errors import did_you_mean
    from wsnet.storage import Folder

    folder = Folder(place)
    if folder.exists("sweep.json"):
        return
    below, beside = sweeps_in(place), sweeps_in(str(Path(place).parent))
    if below:
        raise ReportError(f"no sweep in {place!r} itself, but in folders below it; give one of: {', '.join(below)}")
    what = "holds no sweep.json" if folder.names() else "is absent or empty"
    raise ReportError(f"no sweep in {place!r}: the folder {what}{did_you_mean(place, beside)}")
