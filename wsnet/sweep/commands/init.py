"""`wsnet init FILE.yaml`: writes a sweep file of one's own, from options or a few questions."""

import argparse
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from wsnet.called import called, program

if TYPE_CHECKING:
    from wsnet.sweep.commands.new_sweep import Images

__all__ = ["main"]

_DESCRIPTION = """\
Write a sweep file that compares norms, with comments, to run as it is or to edit. On a terminal, what is not given as
an option is asked for; elsewhere it has the value that is usual for the images.
"""

_Value = TypeVar("_Value")


def main(argv: list[str]) -> int:
    """Write the file.

    Args:
        argv: the arguments after `init`.

    Returns:
        exit status: 0, or 2 if a choice cannot be used or the file exists; nothing is written then. 130 after Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    from wsnet.config.errors import ConfigError

    try:
        return _write(arguments)
    except ConfigError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{arguments.file}: cannot be written: {error.strerror or error}", file=sys.stderr)
    except (EOFError, KeyboardInterrupt):
        print("\nNothing was written.", file=sys.stderr)
        return 130
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program("init"), description=_DESCRIPTION)
    add = parser.add_argument
    add("file", metavar="FILE.yaml", type=Path, help="the file to write")
    add("--data", metavar="SET", help="digits, cifar10, cifar100, mnist, fashion_mnist, imagenet, or your own folder")
    add("--model", metavar="NAME", help="the network, such as cifar_resnet")
    add("--norms", metavar="A,B", help="such as batch,group,group+ws (with standardized weights)")
    add("--batch-sizes", metavar="N,N", help="such as 1,8,64")
    add("--lr", metavar="R,R", help="learning rates; of several, the best on validation is reported")
    add("--seeds", metavar="N", help="seeds of each setting")
    add("--epochs", metavar="N", help="epochs of each trial")
    add("--force", action="store_true", help="overwrite the file if it exists")
    return parser


def _write(arguments: argparse.Namespace) -> int:
    from wsnet.config.errors import ConfigError, Mistake
    from wsnet.config.reading.read import sweep_of
    from wsnet.config.reading.yaml_lines import YamlFile
    from wsnet.sweep.commands.new_sweep import Choices, checked_model, images_of, new_sweep

    file: Path = arguments.file
    if file.exists() and not arguments.force:
        raise ConfigError([Mistake(str(file), "", "exists already; give another name, or --force to overwrite it")])
    find = cache(lambda name: images_of(name, file=file))
    _check(arguments, find)
    images = _chosen(arguments, "data", "images", "digits", find)
    models = ", ".join(images.models)
    choices = Choices(
        images=images,
        model=_chosen(
            arguments,
            "model",
            f"network ({models})",
            next(iter(images.models)),
            lambda name: checked_model(name, images),
        ),
        norms=_chosen(arguments, "norms", "norms, separated by commas", "batch,group,group+ws,online", _norms),
        batch_sizes=_chosen(arguments, "batch_sizes", "batch sizes", _joined(images.batch_sizes), _whole_numbers),
        rates=_rates(arguments.lr) if arguments.lr else (),
        seeds=_chosen(arguments, "seeds", "seeds", "5", _whole_number),
        epochs=_chosen(arguments, "epochs", "epochs", str(images.epochs), _whole_number),
    )
    text = new_sweep(choices, name=file.stem)
    try:
        sweep = sweep_of(YamlFile.parse(text, str(file)))
    except ConfigError as error:  # There is no such file yet, so its lines mean nothing.
        raise ConfigError(Mistake(str(file), m.key, m.message) for m in error.mistakes) from None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    trials = len(sweep.settings) * len(sweep.config.seed_list)
    print(f"wrote {file}: {len(sweep.settings)} settings, {trials} trials")
    for warning in sweep.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"What it would train, and for how long: {called('run')} {file} --dry-run")
    return 0


def _check(arguments: argparse.Namespace, find: Callable[[str], "Images"]) -> None:
    """Read every option that is given.

    Raises:
        ConfigError: with the mistakes of all of them.
    """
    from wsnet.config.errors import ConfigError, Mistake
    from wsnet.sweep.commands.new_sweep import checked_model

    readers: dict[str, Callable[[str], object]] = {
        "data": find,
        "model": lambda name: checked_model(name, find(arguments.data or "digits")),
        "norms": _norms,
        "batch_sizes": _whole_numbers,
        "lr": _rates,
        "seeds": _whole_number,
        "epochs": _whole_number,
    }
    if arguments.data is None and sys.stdin.isatty():  # Which networks there are depends on an answer.
        del readers["model"]
    mistakes: list[Mistake] = []
    for option, read in readers.items():
        given = getattr(arguments, option)
        try:
            if given is not None:
                read(given)
        except ConfigError as error:
            mistakes += error.mistakes
        except argparse.ArgumentTypeError as error:
            mistakes.append(Mistake(f"--{option.replace('_', '-')}", "", str(error)))
    if mistakes:
        raise ConfigError(mistakes)


def _chosen(
    arguments: argparse.Namespace, option: str, question: str, default: str, read: Callable[[str], _Value]
) -> _Value:
    """The value of an option; without it, the answer to a question on a terminal, or the default."""
    given = getattr(arguments, option)
    if given is not None:
        return read(given)
    while sys.stdin.isatty():
        try:
            return read(input(f"{question} [{default}]: ").strip() or default)
        except (ValueError, argparse.ArgumentTypeError) as error:
            print(f"  {error}")
    return read(default)


def _joined(numbers: list[int]) -> str:
    return ",".join(map(str, numbers))


def _names(text: str) -> list[str]:
    names = list(dict.fromkeys(part for part in re.split(r"[,\s]+", text) if part))
    if not names:
        raise argparse.ArgumentTypeError("must be names separated by commas")
    return names


def _norms(text: str) -> list[str]:
    from wsnet.config.errors import ConfigError, Mistake
    from wsnet.sweep.commands.new_sweep import checked_norm

    names, mistakes = _names(text), list[Mistake]()
    for name in names:
        try:
            checked_norm(name)
        except ConfigError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ConfigError(mistakes)
    return names


def _whole_numbers(text: str) -> list[int]:
    return [_whole_number(part) for part in _names(text)]


def _whole_number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, but got {text!r}")
    return int(text)


def _rates(text: str) -> list[float]:
    try:
        rates = [float(part) for part in _names(text)]
    except ValueError:
        rates = []
    if not rates or not all(0 < rate < float("inf") for rate in rates):
        raise argparse.ArgumentTypeError(f"must be positive numbers separated by commas, but got {text!r}")
    return rates
