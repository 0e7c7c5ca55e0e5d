"""`info`: an image set's counts, classes, shape, mean, standard deviation, hash and location."""

import argparse
from pathlib import Path
from typing import Any, get_args

import numpy as np
from pydantic import ValidationError

from wsnet.config.data import OWN_SETS, DataConfig
from wsnet.config.errors import did_you_mean
from wsnet.config.image_folder import find_layout
from wsnet.config.image_table import find_tables
from wsnet.config.reading.messages import explain
from wsnet.config.reading.own_files import data_config
from wsnet.data.cache import cache_file, data_root
from wsnet.data.file_index import index_file
from wsnet.data.images import DataError, ImageSplits
from wsnet.data.load import load
from wsnet.data.sources import find_source

__all__ = ["add_command", "config_of", "described"]

_NAMES = get_args(DataConfig.model_fields["name"].annotation)
_KNOWN = [name for name in _NAMES if name not in OWN_SETS]


def add_command(commands: Any) -> None:
    """Add `info` to the subparsers of `python -m wsnet.data`."""
    parser = commands.add_parser("info", help="describe an image set", description=__doc__)
    parser.add_argument("set", metavar="NAME|PATH", help=f"{', '.join(_KNOWN)}, or a folder of images or Parquet files")
    parser.add_argument("--size", type=int, help="data.size: side of the images in pixels")
    parser.add_argument("--stream", action="store_true", help="data.stream: for a folder that does not fit into memory")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the image sets (default: $WSNET_DATA or ./data)")
    parser.set_defaults(run=_run)


def config_of(name: str, **options: Any) -> DataConfig:
    """The `data` section for a known set, or for a folder (of Parquet files if it holds any, otherwise of images).

    Raises:
        DataError: listing all mistakes, one per line.
    """
    data: dict[str, Any] = {"name": name, **options}
    if name not in _KNOWN:
        if not Path(name).expanduser().is_dir():
            raise DataError(f"{name!r} is neither an image set nor a folder{did_you_mean(name, _KNOWN)}")
        data |= {"name": "parquet" if _holds_tables(Path(name).expanduser()) else "folder", "path": name}
    try:
        return data_config(**data)
    except ValidationError as error:
        found = explain(error, DataConfig, data)
        lines = [f"data.{'.'.join(map(str, violation.paths[0]))}: {violation.message}" for violation in found]
        raise DataError("\n".join(lines)) from None


def described(config: DataConfig, images: ImageSplits, root: Path) -> dict[str, str]:
    """What `info` prints, by label."""
    place, cached = _places(config, root)
    channels, height, width = config.facts.shape
    kind = "streamed from the files, cropped at random" if config.streams else "decoded once, mapped by every trial"
    return {
        "set": f"{config.name} ({kind})",
        "found in": place,
        "cache": f"{cached}" if cached.exists() else f"none ({cached} cannot be written)",
        "images": f"{len(images.train):,} training, {len(images.test):,} test",
        "shape": f"{channels} x {height} x {width} (channels x height x width)",
        "classes": f"{len(images.classes):,}: {_some(images.classes)}",
        "per class": f"{_range(images.train.labels, images)} training, {_range(images.test.labels, images)} test",
        "mean": " ".join(f"{value:.4f}" for value in images.mean) + " (scale 0 to 1, training images)",
        "std": " ".join(f"{value:.4f}" for value in images.std),
        "hash": images.hash,
    }


def _run(arguments: argparse.Namespace) -> int:
    options = {"size": arguments.size} if arguments.size is not None else {}
    options |= {"stream": True} if arguments.stream else {}
    config, root = config_of(arguments.set, **options), data_root(arguments.data_root)
    for label, text in described(config, load(config, root=root), root).items():
        print(f"{label:10} {text}")
    return 0


def _holds_tables(folder: Path) -> bool:
    try:
        return bool(find_tables(folder))
    except DataError:
        return any(folder.glob("*.parquet")) or any(folder.glob("data/*.parquet"))


def _places(config: DataConfig, root: Path) -> tuple[str, Path]:
    """Where a set was found, and its file in the cache."""
    if config.streams:
        layout = find_layout(Path(config.path) if config.path else root / config.name)
        return str(layout.root), index_file(config, layout)
    source = find_source(config, root)
    assert source is not None, "it was found just now"
    return str(source.folder), cache_file(source)


def _range(labels: Any, images: ImageSplits) -> str:
    counts = np.bincount(labels, minlength=len(images.classes))
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:10])}, ... {names[-1]}"
