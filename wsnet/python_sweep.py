"""`wsnet.run`: a sweep from a script or a notebook."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from wsnet.config.base import seconds_of
from wsnet.config.errors import ConfigError, Mistake
from wsnet.config.example_sweeps import sweep_file
from wsnet.config.reading.located import Located
from wsnet.config.reading.read import sweep_of
from wsnet.config.reading.yaml_lines import YamlFile, dump_yaml
from wsnet.report.sources.load import load
from wsnet.report.sources.read import read_chosen
from wsnet.report.write import conclude
from wsnet.storage import Folder
from wsnet.sweep.arguments import parser, settings
from wsnet.sweep.cli import run_requested

__all__ = ["FinishedSweep", "run"]

_PLACE = "wsnet.run"
_INTERRUPTED = (130, 143)

Pairs = str | Sequence[str] | Mapping[str, Any]
"""`key=value`, several of them, or a mapping of keys to values."""


@dataclass(frozen=True)
class FinishedSweep:
    """A sweep that has been run.

    Attributes:
        folder: its folder: a path or a URI.
        status: 0 if all trials ended, 1 if some failed, 3 if the time of `budget` was up; running the sweep again
            continues it.
    """

    folder: str
    status: int

    def table(self, *, epochs: bool = False, arrow: bool = False) -> Any:
        """What `wsnet.load` makes of the folder: a pandas.DataFrame with a row for each trial, or for each epoch."""
        return load(self.folder, epochs=epochs, arrow=arrow)

    @property
    def report(self) -> str:
        """The report, one page with all tables and figures: the path or URI of `report.html`."""
        return (Folder(self.folder) / "report.html").location


def run(
    sweep: str | os.PathLike[str] | Mapping[str, Any],
    *,
    storage: str | os.PathLike[str] = "runs",
    data_root: str | os.PathLike[str] | None = None,
    set: Pairs = (),
    only: Pairs = (),
    smoke: bool = False,
    images: int | None = None,
    steps: int | None = None,
    address: str | None = None,
    tracking_uri: str | None = None,
    wandb: str | None = None,
    stall_timeout: str | float | None = None,
    budget: str | float | None = None,
    dry_run: bool = False,
) -> FinishedSweep | None:
    """Train every combination of a sweep, or continue one that was interrupted. The same as `wsnet run`.

    Args:
        sweep: a sweep file, the name of an example ("quickstart"), or what a sweep file would hold, as a dict.
        storage: where results go: a path, or a URI such as s3://...
        data_root: folder of the image sets; by default $WSNET_DATA or ./data.
        set: options to override: {"train.epochs": 3}, or ["train.epochs=3"] as on the command line.
        only: run only the settings with these values: {"case": "ResNet-110"}, or ["case=ResNet-110"].
        smoke: run a small version in a separate folder.
        images: with `smoke`, images in each split (default: 8).
        steps: with `smoke`, steps per epoch (default: all).
        address: join this Ray cluster ("auto", or host:port) instead of starting Ray here.
        tracking_uri: MLflow tracking server or database; by default mlflow.db in the results.
        wandb: also make a run in W&B for each trial, in "PROJECT" or "ENTITY/PROJECT".
        stall_timeout: end and retry a trial that makes no step for this long: seconds, or such as "10min".
        budget: end after this long: seconds, or such as "8h".
        dry_run: print settings, trial count, model sizes and a time estimate; start nothing.

    Returns:
        The sweep's folder and results; None after a dry run.

    Raises:
        ConfigError: the sweep or an option is wrong; a line for each mistake (a ValueError).
        Error: images are missing or damaged, the results cannot be written, or the tracking URI cannot be right
            (DataError, StorageError, TrackingError; each a ValueError, too).
        ConnectionError: no Ray cluster answers at the address.
        KeyboardInterrupt: interrupted; everything that is done is kept.
    """
    started = time.monotonic()
    given = {key: value for key, value in locals().items() if key not in ("sweep", "started")}
    arguments = parser().parse_args([_PLACE])
    arguments.storage, arguments.data_root = os.fspath(storage), None if data_root is None else os.fspath(data_root)
    arguments.set, arguments.only = _pairs(set), _pairs(only)
    arguments.smoke, arguments.images, arguments.steps = smoke, _count("images", images), _count("steps", steps)
    arguments.address, arguments.tracking_uri, arguments.wandb = address, tracking_uri, wandb
    arguments.dry_run = dry_run
    arguments.stall_timeout, arguments.budget = _time("stall_timeout", stall_timeout), _time("budget", budget)
    if not smoke and (images or steps):
        raise ConfigError([Mistake(_PLACE, "", "images and steps make a smoke run smaller; give smoke=True too")])
    if arguments.budget is not None:
        arguments.deadline = started + seconds_of(arguments.budget)
    if isinstance(sweep, Mapping):
        with _named_as_arguments():
            arguments.text = _checked_text(sweep, settings(arguments))
    else:
        arguments.sweep = sweep_file(os.fspath(sweep))
    arguments.command = _call(sweep, given)
    return _run(arguments)


def _run(arguments: Any) -> FinishedSweep | None:
    from wsnet.sweep.planning.without_gc import without_gc
    from wsnet.sweep.requested_sweep import RequestedSweep
    from wsnet.sweep.signals import interruptible

    with without_gc(), _named_as_arguments():
        requested = RequestedSweep(arguments)
    with interruptible():
        status = run_requested(requested, arguments, conclude, read_chosen)
    if status in _INTERRUPTED:
        raise KeyboardInterrupt
    folder = Folder(arguments.storage) / requested.part.config.name
    return None if arguments.dry_run else FinishedSweep(folder.location, status)


@contextmanager
def _named_as_arguments() -> Iterator[None]:
    """Mistakes in `--set` are told as those in `set`, as the argument is called here."""
    try:
        yield
    except ConfigError as error:
        mistakes = [
            replace(each, place=each.place[2:]) if each.place.startswith("--") else each for each in error.mistakes
        ]
        raise ConfigError(mistakes) from None


def _pairs(given: Pairs) -> list[str]:
    """`key=value` pairs, as the command line has them."""
    if isinstance(given, Mapping):
        return [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in given.items()]
    return [given] if isinstance(given, str) else list(given)


def _count(name: str, number: int | None) -> int | None:
    if number is not None and (not isinstance(number, int) or number < 1):
        raise ConfigError([Mistake(_PLACE, name, f"must be a whole number of at least 1, but got {number!r}")])
    return number


def _time(name: str, given: str | float | None) -> str | None:
    if given is None:
        return None
    try:
        seconds_of(str(given))
    except ValueError as error:
        raise ConfigError([Mistake(_PLACE, name, str(error))]) from None
    return str(given)


def _checked_text(sweep: Mapping[str, Any], pairs: list[str]) -> str:
    """A sweep given as a dict, as YAML, after its mistakes were told by key: it has no lines.

    Raises:
        ConfigError: with every mistake at once.
    """
    try:
        data = json.loads(json.dumps(dict(sweep), default=_plain))
    except (TypeError, ValueError) as error:
        rule = "a sweep must hold numbers, texts, True, False, None, lists and dicts alone"
        raise ConfigError([Mistake(_PLACE, "", f"{rule}: {error}")]) from None
    sweep_of(YamlFile(_PLACE, Located.of(data, _PLACE)), pairs)
    return dump_yaml(data)


def _plain(value: object) -> Any:
    """A path as a text, a scalar of numpy as a number."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} is a {type(value).__name__}")


def _call(sweep: object, given: Mapping[str, Any]) -> str:
    """The call as it is shown to the user: without defaults, and without passwords in URIs."""
    from wsnet.tracking import without_password

    defaults = run.__kwdefaults__ or {}
    shown = "{...}" if isinstance(sweep, Mapping) else repr(os.fspath(sweep))  # type: ignore[call-overload]
    parts = [
        f"{key}={(without_password(value) if isinstance(value, str) and '://' in value else value)!r}"
        for key, value in given.items()
        if value != defaults[key]
    ]
    return f"wsnet.run({', '.join([shown, *parts])})"
