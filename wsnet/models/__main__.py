"""`python -m wsnet.models`: parameters, cost and memory of architectures, as a table."""

import argparse
import sys
from typing import TYPE_CHECKING

from wsnet.called import called, program
from wsnet.errors import Error

if TYPE_CHECKING:  # The functions import what they need, so that --help does not import torch.
    from wsnet.models.listing import Listed

_EXAMPLES = """\
Without arguments a few networks of every family are listed. Examples:

  {models} --shape 3x224x224 --classes 1000
  {models} model.name=wrn model.depth=28 model.widening=10 data.name=cifar100
  {models} model.name=cifar_densenet model.depth=190 model.growth_rate=40 model.checkpointing=true
  {models} quickstart
"""


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 2 the input cannot be used."""
    arguments = _parser().parse_args(argv)
    try:
        _show(_listed(arguments), arguments.convention)
    except Error as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program("models"),
        description="Parameters, cost and memory of architectures, as a table.",
        epilog=_EXAMPLES.format(models=called("models")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what",
        nargs="*",
        metavar="FILE.yaml | KEY=VALUE",
        help="a sweep file or an example's name, a trial file, or options of a model",
    )
    parser.add_argument("--shape", type=_shape, metavar="CxHxW", help="shape of an image (default: the data's)")
    parser.add_argument("--classes", type=_positive, metavar="N", help="number of classes (default: the data's)")
    parser.add_argument(
        "--convention", choices=("torch", "thop"), default="torch", help="how multiply-accumulates are counted"
    )
    return parser


def _listed(arguments: argparse.Namespace) -> "list[Listed]":
    from dataclasses import replace

    from wsnet.models.listing import asked_for, in_file, representative

    pairs = [item for item in arguments.what if "=" in item]
    files = [item for item in arguments.what if "=" not in item]
    if not arguments.what:
        return representative(arguments.shape or (3, 32, 32), arguments.classes or 10)
    found = [listed for path in files for listed in in_file(path, pairs)] if files else [asked_for(pairs)]
    changes = {key: value for key in ("shape", "classes") if (value := getattr(arguments, key)) is not None}
    return [replace(listed, **changes) for listed in found]


def _show(models: "list[Listed]", convention: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from wsnet.models import CONVENTION, THOP, activation_bytes, multiply_accumulates, parameter_count, thop_operations

    count, name = (multiply_accumulates, CONVENTION) if convention == "torch" else (thop_operations, THOP)
    table = Table(box=None, padding=(0, 1))
    table.add_column("model", overflow="fold")
    for heading in ("images", "parameters", "MACs/image", "kept/image"):
        table.add_column(heading, justify="right", no_wrap=True)
    for listed in models:
        about = listed.model, listed.classes, listed.shape
        table.add_row(
            listed.label,
            "x".join(map(str, listed.shape)),
            f"{parameter_count(*about):,}",
            f"{count(*about):,}",
            _bytes(activation_bytes(*about)),
        )
    console = Console()
    console.print(table)
    console.print(
        f"\nMACs: {name}. kept: activations that a training step keeps for its backward pass, float32.",
        highlight=False,
        soft_wrap=True,
    )


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 100 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _shape(text: str) -> tuple[int, int, int]:
    parts = text.split("x")
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"must be CxHxW, such as 3x32x32, but got {text!r}")
    channels, height, width = map(_positive, parts)
    return channels, height, width


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, but got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
