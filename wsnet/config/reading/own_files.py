"""The user's own files that a trial names, inspected before it is validated: a norm's source, a set's images.

Apart from the sweep file itself, this is the only place where reading a configuration touches the disk. Validators
check what was found here; a configuration stored with these findings can be read again without the files.
"""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

from wsnet.config.data import OWN_SETS, DataConfig, FoundConfig
from wsnet.config.datasets import DataError
from wsnet.config.errors import did_you_mean
from wsnet.config.image_folder import find_layout, images_in
from wsnet.config.image_table import find_tables, first_image, label_count, opened
from wsnet.config.own_class import FOUND, is_own
from wsnet.config.reading.located import COMMAND_LINE, Located

__all__ = ["data_config", "resolve_paths", "with_files", "with_images", "with_source"]

_GREY = ("1", "L", "LA")
_NAME, _SOURCE, _IMAGES = ("model", "norm", "name"), ("model", "norm", "source_file"), ("data", "path")


def resolve_paths(trial: Located, folder: Path) -> dict[str, Any]:
    """A trial's data with absolute paths to the user's norm file and images.

    Args:
        trial: the data, merged, not validated.
        folder: folder of the file that it was read from. Relative paths are relative to this folder; those from the
            command line, to the working directory.
    """
    data: dict[str, Any] = trial.plain()
    norm = _section(_section(data, "model"), "norm")
    if is_own(norm.get("name")):
        at = _NAME
        if trial.spot(_NAME).overridden and not trial.spot(_SOURCE).overridden:
            for key in FOUND:  # The file's values belong to another class.
                norm.pop(key, None)
        text = norm["name"].rpartition(":")[0]
        if norm.get("source_file"):
            at, text = _SOURCE, norm["source_file"]
        if isinstance(text, str):
            norm["source_file"] = _absolute(text, trial, at, folder)
    images = _section(data, "data")
    if isinstance(images.get("path"), str):
        images["path"] = _absolute(images["path"], trial, _IMAGES, folder)
    return data


def with_files(trial: dict[str, Any]) -> dict[str, Any]:
    """A trial's data with what was found in the user's own files: see `with_source` and `with_images`."""
    trial = dict(trial)
    if _section(trial, "data"):
        trial["data"] = with_images(trial["data"])
    if _section(_section(trial, "model"), "norm"):
        trial["model"] = {**trial["model"], "norm": with_source(trial["model"]["norm"])}
    return trial


def with_source(norm: dict[str, Any]) -> dict[str, Any]:
    """A `model.norm` section with `source_file` and `source_sha256`, if it names a user's own class.

    If the file cannot be read, `source_sha256` is an OSError that says so, which validation turns into a mistake. An
    existing hash is kept: it is compared when the class is loaded.
    """
    if not is_own(norm.get("name")):
        return norm
    text = norm.get("source_file") or norm["name"].rpartition(":")[0]
    if norm.get("source_sha256") or not isinstance(text, str):
        return norm
    file = Path(os.path.expanduser(text)).absolute()
    return {**norm, "source_file": str(file), "source_sha256": _hash(file)}


def with_images(data: dict[str, Any]) -> dict[str, Any]:
    """A `data` section with what was found in its folder, if the set is the user's own.

    If the folder is not as it should be, `found` is a DataError that says so, which validation turns into a mistake.
    """
    if not isinstance(data.get("path"), str) or data.get("name") not in OWN_SETS:
        return data
    path = str(Path(os.path.expanduser(data["path"])).absolute())
    if _section(data, "found").get("path") == path:
        return data
    try:
        return {**data, "found": _look_up(data["name"], path)}
    except DataError as error:
        return {**data, "found": error}


def data_config(**options: Any) -> DataConfig:
    """A `data` section with what was found in the user's own files.

    Raises:
        ValidationError: an option is wrong, or the files are not as they should be.
    """
    return DataConfig.model_validate(with_images(options))


def _absolute(text: str, trial: Located, at: tuple[str, ...], folder: Path) -> str:
    base = Path.cwd() if trial.spot(at).place == COMMAND_LINE else folder.absolute()
    return str(base / os.path.expanduser(text))


def _section(data: dict[str, Any], name: str) -> dict[str, Any]:
    section = data.get(name)
    return section if isinstance(section, dict) else {}


def _hash(file: Path) -> str | OSError:
    try:
        if file.exists() and not file.is_file():  # Reading a pipe would wait for ever.
            return OSError(f"must be a Python file: {file}")
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError:
        others = sorted(str(other) for other in file.parent.glob("*.py")) if file.parent.is_dir() else []
        return OSError(f"no such file: {file}{did_you_mean(file, others, otherwise='')}")
    except (OSError, ValueError) as error:
        return OSError(f"cannot be read: {error}")


def _look_up(name: str, path: str) -> FoundConfig:
    """Inspect the files of a set: their names, and the first image's header. Decodes nothing.

    Args:
        name: `folder` or `parquet`.
        path: the folder.

    Raises:
        DataError: a file or folder is not as it should be; the message names it.
    """
    root = Path(path)
    try:
        if name == "folder":
            layout = find_layout(root)
            counts, classes = layout.counts, len(layout.classes)
            first = root / layout.splits[0] / layout.classes[0]
            first = first / images_in(first)[0].name
            shape = _shape(first.read_bytes(), str(first))
        else:
            train, test = find_tables(root)
            counts, classes = (_rows(train), _rows(test)), label_count(train)
            shape = _shape(first_image(train[0]), f"{train[0]}: row 0")
    except OSError as error:
        raise DataError(f"{root}: cannot be read ({error})") from error
    if not all(counts) or not classes:
        raise DataError(f"{root}: must have training and test images, but has {counts[0]} and {counts[1]}")
    channels, height, width = shape
    return FoundConfig(
        path=path,
        train=counts[0],
        test=counts[1],
        classes=classes,
        channels=channels,
        height=height,
        width=width,
    )


def _rows(paths: list[Path]) -> int:
    rows = 0
    for path in paths:
        with opened(path) as file:
            rows += file.metadata.num_rows
    return rows


def _shape(image: bytes, where: str) -> tuple[int, int, int]:
    """(channels, height, width), read from an image's header."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(image)) as opened_image:
            return 1 if opened_image.mode in _GREY else 3, opened_image.height, opened_image.width
    except Exception as error:  # Pillow's plugins raise nearly anything on damaged bytes
        raise DataError(f"{where}: not a decodable image ({error})") from error
