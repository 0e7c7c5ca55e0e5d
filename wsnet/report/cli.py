"""`python analyze.py`: tables and figures of a sweep, from its folder or from MLflow."""

# Slow imports are inside the functions that use them: `--help` needs none of them.
import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from wsnet.called import program
from wsnet.errors import Error
from wsnet.report import ReportError
from wsnet.report.arguments import curves_parser, parser

if TYPE_CHECKING:
    from wsnet.report.results import Results
    from wsnet.report.tables.arrange import Arrangement
    from wsnet.report.write import FigureFormat
    from wsnet.storage import Folder

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Returns:
        the exit status: 0; 1 if `--fail-if` holds or a reproduced trial differs; 2 for a user error, reported in one
        line on stderr.
    """
    given = sys.argv[1:] if argv is None else argv
    is_of_curves = given[:1] == ["curves"]
    arguments = (curves_parser() if is_of_curves else parser()).parse_args(given[is_of_curves:])

    try:
        return _overlay(arguments) if is_of_curves else _analyze(arguments)
    except Error as error:
        print(f"{program('analyze')}: {error}", file=sys.stderr)
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        print(f"{program('analyze')}: {place}{error.strerror or error}", file=sys.stderr)
    return 2


def _overlay(arguments: argparse.Namespace) -> int:
    from wsnet.report.commands.logs import draw_curves

    draw_curves(arguments.logs, arguments.metric, arguments.out)
    print(f"wrote {arguments.out}")
    return 0


def _analyze(arguments: argparse.Namespace) -> int:
    from wsnet.report.commands.bundle import unpack
    from wsnet.report.tables.arrange import Arrangement

    _check(arguments)
    if len(arguments.runs) == 1 and arguments.runs[0].endswith(".zip"):
        arguments.runs = [unpack(arguments.runs[0], arguments.out)]
    if arguments.reproduce is not None:
        from wsnet.report.commands.reproduce import reproduce

        return reproduce(_one_folder(arguments, "--reproduce"), arguments.reproduce)
    if arguments.layers and _is_of_trials(arguments):
        return _write_layers(arguments.runs[0], arguments.out or arguments.runs[0])
    asked = Arrangement(
        rows=_listed(arguments.rows),
        columns=arguments.columns,
        metrics=_listed(arguments.metric) or (),
        facts=_listed(arguments.facts) or (),
        statistic=arguments.statistic,
        where=tuple(arguments.where),
        accuracy=arguments.accuracy,
    )
    if arguments.watch:
        from wsnet.report.commands.watch import watch

        watch(lambda: _read(arguments)[0], asked)
    results, place = _read(arguments)
    if arguments.best:
        from wsnet.report.commands.best import best_configuration

        print(best_configuration(_one_folder(arguments, "--best"), results, asked, by=arguments.by), end="")
        return 0
    return _report(results, asked, arguments, place)


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that would be ignored, and files that could not be used."""
    instead = [f"--{name}" for name in ("best", "reproduce", "watch") if getattr(arguments, name)]
    of_report = ("fail_if", "bundle", "layers", "parquet")
    ignored = [f"--{name.replace('_', '-')}" for name in of_report if getattr(arguments, name)]
    if len(instead) > 1:
        raise ReportError(f"{' and '.join(instead)} exclude each other")
    if instead and instead != ["--watch"] and ignored:
        raise ReportError(f"{', '.join(ignored)} would be ignored with {instead[0]}, which writes no report")
    if arguments.by is not None and not (arguments.best or arguments.best_epoch):
        raise ReportError("--by goes with --best or --best-epoch")
    if arguments.bundle is not None and not arguments.bundle.endswith(".zip"):
        raise ReportError(f"--bundle must name a file that ends in .zip, but got {arguments.bundle!r}")
    for option in ("best", "reproduce", "bundle", "layers"):
        if getattr(arguments, option) and len(arguments.runs) > 1:
            raise ReportError(f"--{option} needs the folder of one sweep")


def _report(results: "Results", asked: "Arrangement", arguments: argparse.Namespace, place: str) -> int:
    from rich.console import Console

    from wsnet.report.commands.fail_if import failing_cells, read_rule
    from wsnet.report.commands.views import view_lines
    from wsnet.report.tables.arrange import arrange
    from wsnet.report.tables.terminal import print_table
    from wsnet.report.write import write_report

    rules = [read_rule(text) for text in arguments.fail_if]
    own = not arguments.best_epoch and asked.metrics == (results.header.metric,) and not asked.differs_besides_metrics
    source = _source(arguments)
    if source is not None and "training_time" in asked.facts:
        from wsnet.report.page import read_details

        devices = read_details(source, results, page=source).devices
        results = replace(results, header=replace(results.header, devices=tuple(devices)))
    shown, quantities = arrange(results, asked)
    paths = write_report(
        shown,
        arguments.out or place,
        suffix="" if own or arguments.out is not None else asked.suffix + "-best-epoch" * arguments.best_epoch,
        quantities=quantities,
        parquet=arguments.parquet,
        formats=_formats(arguments.figures),
        source=source,
    )
    print_table(shown, Console(), quantities=quantities)
    for path in paths:
        print(f"wrote {path}")
    _mention_earlier(arguments)
    for line in view_lines(results.header, uri=arguments.tracking_uri, source=source):
        print(line)
    if arguments.bundle is not None:
        from wsnet.report.commands.bundle import write_bundle

        print(f"wrote {write_bundle(_one_folder(arguments, '--bundle'), arguments.bundle)}")
    if arguments.layers:
        _write_layers(place, arguments.out or place)
    failing = [line for rule in rules for line in failing_cells(shown, rule)]
    for line in failing:
        print(f"--fail-if: {line}", file=sys.stderr)
    return 1 if failing else 0


def _source(arguments: argparse.Namespace) -> "Folder | None":
    """The folder of the one sweep that is reported; None for MLflow and several sweeps."""
    from wsnet.storage import Folder

    is_folder = len(arguments.runs) == 1 and not arguments.runs[0].endswith(".csv")
    return Folder(arguments.runs[0]) if is_folder else None


def _formats(text: str) -> "tuple[FigureFormat, ...]":
    found = _listed(text) or ()
    for name in found:
        if name not in ("png", "svg", "pdf"):
            raise ReportError(f"--figures takes png, svg and pdf, separated by commas, but got {name!r}")
    return found  # type: ignore[return-value]


def _listed(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


def _one_folder(arguments: argparse.Namespace, option: str) -> str:
    if arguments.tracking_uri is not None or len(arguments.runs) > 1:
        raise ReportError(f"{option} needs the folder of one sweep")
    from wsnet.report.sources.find import find_sweep

    return arguments.runs[0] if arguments.runs else find_sweep("runs")


def _mention_earlier(arguments: argparse.Namespace) -> None:
    from wsnet.storage import Folder, Manifest
    from wsnet.storage.recipes import earlier_recipes, recipe_changes

    for place in arguments.runs:
        folder = Folder(place)
        for earlier, manifest in earlier_recipes(folder):
            differences = "; ".join(recipe_changes(manifest, Manifest.read(folder)))
            print(f"an earlier recipe ({differences}): {(earlier / 'table.md').location}")


def _is_of_trials(arguments: argparse.Namespace) -> bool:
    """Whether RUNS_DIR holds trials trained outside a sweep; call it only with `--layers`."""
    from wsnet.report.layers import trials_in
    from wsnet.storage import Folder

    if arguments.tracking_uri is not None or arguments.experiment is not None:
        raise ReportError("--layers needs RUNS_DIR: MLflow does not have the layers' measurements")
    folders = [Folder(place) for place in arguments.runs]
    if len(folders) != 1 or folders[0].exists("sweep.json") or not trials_in(folders[0]):
        return False
    if arguments.metric is not None:
        raise ReportError(f"--metric needs a sweep, but {arguments.runs[0]!r} holds trials trained outside one")
    return True


def _write_layers(place: str, out: str) -> int:
    from wsnet.report.figures.layers import MOST_ROWS, layers_png
    from wsnet.report.layers import layers_csv, read_layers
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
    from wsnet.report.sources.find import find_sweep
    from wsnet.report.sources.read import read_mlflow, read_place

    mlflow = arguments.tracking_uri is not None or arguments.experiment is not None
    if mlflow and arguments.runs:
        raise ReportError("give either RUNS_DIR or --tracking-uri with --experiment, not both")
    if mlflow and (arguments.tracking_uri is None or arguments.experiment is None):
        missing = "--experiment" if arguments.experiment is None else "--tracking-uri"
        raise ReportError(f"--tracking-uri and --experiment go together, but {missing} is missing")
    if mlflow and arguments.best_epoch:
        raise ReportError("--best-epoch needs RUNS_DIR: it reads every epoch of every trial")
    if mlflow:
        return read_mlflow(arguments.tracking_uri, arguments.experiment), f"{arguments.experiment}-report"
    best_by = (arguments.by or "validation/top1_error") if arguments.best_epoch else None
    if not arguments.runs:
        arguments.runs = [find_sweep("runs")]
        print(f"newest sweep: {arguments.runs[0]}")
    if len(arguments.runs) > 1:
        from wsnet.report.commands.compare import side_by_side

        found = {place: read_place(place, best_by=best_by) for place in arguments.runs}
        if len(found) < len(arguments.runs):
            raise ReportError(f"give different sweeps to compare, but got {', '.join(arguments.runs)}")
        return side_by_side(found), "comparison"
    place = arguments.runs[0]
    return read_place(place, best_by=best_by), f"{place.removesuffix('.csv')}-report" if place.endswith(
        ".csv"
    ) else place
