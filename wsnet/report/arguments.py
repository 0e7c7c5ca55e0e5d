"""The command line of `analyze.py`."""

import argparse

from wsnet.called import called, program

__all__ = ["curves_parser", "parser"]

_EXAMPLES = """\
examples:
  {analyze} runs/cifar_batchsize --metric validation/top1_error
  {analyze} runs/cifar_batchsize --rows model.norm.name --columns train.batch_size --where 'train.batch_size>=8'
  {analyze} runs/quickstart --metric test/top1_error,test/top5_error --facts parameters,training_time
  {analyze} runs/quickstart --best
  {analyze} runs/today runs/yesterday
  {analyze} runs/quickstart --fail-if 'median(test/top1_error) > 8.0'
  {analyze} curves runs/quickstart runs/alone/0123456789ab other.csv --metric validation/top1_error
"""


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser(
        prog=program("analyze"),
        description="Write tables and figures of a sweep: medians over its seeds. Several sweeps stand side by side.",
        epilog=_EXAMPLES.format(analyze=called("analyze")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "runs",
        nargs="*",
        metavar="RUNS_DIR",
        help="the folder of a sweep, a bundle, or a CSV file with a row for each run; default: the newest in runs/",
    )
    made.add_argument("--tracking-uri", metavar="URI", help="read from MLflow instead, such as http://127.0.0.1:5000")
    made.add_argument("--experiment", metavar="NAME", help="the sweep's name in MLflow; goes with --tracking-uri")
    made.add_argument(
        "--out",
        metavar="DIR",
        help="where to write; default: RUNS_DIR; ./comparison for several, ./NAME-report for MLflow and CSV files",
    )
    table = made.add_argument_group(
        "the table", "A table other than the sweep's own gets files of its own, such as table-test-loss.md."
    )
    table.add_argument("--rows", metavar="KEYS", help="axes whose values make the rows, separated by commas")
    table.add_argument("--columns", metavar="KEY", help="axis whose values make the columns, or none")
    table.add_argument("--metric", metavar="M", help="what the cells show; several, separated by commas, are columns")
    table.add_argument(
        "--facts", metavar="F", help="further columns: parameters, multiply_accumulates, training_time, published"
    )
    table.add_argument("--statistic", choices=("median", "mean"), help="mean is shown with the standard deviation")
    table.add_argument(
        "--best-epoch",
        action="store_true",
        help="the epoch at which each trial was best on validation (see --by), instead of the last one",
    )
    table.add_argument("--accuracy", action="store_true", help="show accuracies instead of errors")
    table.add_argument(
        "--where",
        metavar="CONDITION",
        action="append",
        default=[],
        help="only trials such as train.batch_size>=8 or model.norm.name=group; may be repeated",
    )
    table.add_argument(
        "--figures", metavar="F", default="png", help="formats besides png: svg, pdf, separated by commas"
    )
    table.add_argument("--parquet", action="store_true", help="also write trials.parquet")
    more = made.add_argument_group("more")
    more.add_argument("--best", action="store_true", help="print the best setting's configuration as YAML")
    more.add_argument(
        "--by",
        metavar="M",
        help="with --best and --best-epoch: the metric that decides; default: that of report.select, or the error "
        "on the validation split",
    )
    more.add_argument(
        "--fail-if",
        metavar="RULE",
        action="append",
        default=[],
        help="exit with status 1 if any cell satisfies RULE, such as 'median(test/top1_error) > 8.0'; also mean, low, "
        "high; may be repeated",
    )
    more.add_argument(
        "--watch", action="store_true", help="redraw the table until no trial runs, then write the report"
    )
    more.add_argument(
        "--bundle", metavar="FILE.zip", help="pack what the report is made of; given as RUNS_DIR, it makes it again"
    )
    more.add_argument(
        "--reproduce",
        metavar="TRIAL",
        help="train this trial again, alone, and compare the records bit by bit; its name, such as bn-s0, or its id",
    )
    more.add_argument(
        "--layers",
        action="store_true",
        help="also draw layers.png and write layers.csv, for trials with train.diagnostics; "
        "RUNS_DIR may then also hold trials trained outside a sweep",
    )
    return made


def curves_parser() -> argparse.ArgumentParser:
    """The arguments of `analyze.py curves`."""
    made = argparse.ArgumentParser(
        prog=f"{program('analyze')} curves",
        description="Lay the learning curves of any logs over each other, at most 24.",
    )
    made.add_argument(
        "logs",
        nargs="+",
        metavar="LOG",
        help="a sweep's folder, a trial's, or a CSV file with an epoch column",
    )
    made.add_argument("--metric", metavar="M", default="test/top1_error", help="default: %(default)s")
    made.add_argument("--out", metavar="FILE", default="curves.png", help=".png, .svg or .pdf; default: %(default)s")
    return made
