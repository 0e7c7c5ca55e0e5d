"""Image sets in Parquet tables, in the Hugging Face layout: which files, which columns, which classes.

Imports pyarrow only where a table is opened.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from wsnet.config.datasets import MOST_CLASSES, DataError

__all__ = ["Columns", "class_names", "find_columns", "find_tables", "first_image", "label_count", "opened"]

_IMAGE_COLUMNS = ("img", "image")
_LABEL_COLUMNS = ("label", "labels", "fine_label")
_TEST = ("test", "validation", "valid", "val")


class Columns(NamedTuple):
    """Names of the columns of a table."""

    image: str
    label: str


def find_tables(root: Path) -> tuple[list[Path], list[Path]]:
    """The files of the training and of the test images: `train.parquet` or `train-*.parquet`, in `root` or data/.

    Test images are those of `test`, otherwise of `validation`, `valid` or `val`.

    Raises:
        DataError: there are none, or a numbered file is missing.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    train, tests = _files(root, "train"), [files for name in _TEST if (files := _files(root, name))]
    if not train or not tests:
        missing = "train" if not train else "test (or validation)"
        there = ", ".join(sorted(file.name for file in root.iterdir())[:5]) or "nothing"
        raise DataError(
            f"{root}: must have {missing} tables, such as {missing.partition(' ')[0]}.parquet or "
            f"data/{missing.partition(' ')[0]}-00000-of-00001.parquet, but has {there}"
        )
    return train, tests[0]


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a table as a `pyarrow.parquet.ParquetFile`.

    Raises:
        DataError: the file cannot be read, on opening or in the body of the `with` statement.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}); put an undamaged copy there") from error


def find_columns(path: Path, schema: Any) -> Columns:
    """The image and label columns, by their usual names or, failing that, as the only columns of suitable types.

    Raises:
        DataError: there is none, or several are possible.
    """
    import pyarrow as pa

    images = [field.name for field in schema if _holds_images(field.type)]
    labels = [field.name for field in schema if pa.types.is_integer(field.type)]
    return Columns(_pick(path, schema, _IMAGE_COLUMNS, images), _pick(path, schema, _LABEL_COLUMNS, labels))


def class_names(schema: Any, label: str) -> tuple[str, ...]:
    """The names in the Hugging Face metadata; none if it is absent or not as expected."""
    try:
        features: Any = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[label]["names"])
    except (KeyError, TypeError, ValueError):
        return ()


def label_count(paths: Sequence[Path]) -> int:
    """Number of classes of a set: as many as the first table with names lists, otherwise the largest label plus one.

    Raises:
        DataError: a label is too large for the number of a class.
    """
    import pyarrow.compute as pc

    greatest = -1
    for path in paths:
        with opened(path) as file:
            column = find_columns(path, file.schema_arrow).label
            if names := class_names(file.schema_arrow, column):
                return len(names)
            greatest = max(greatest, pc.max(file.read(columns=[column])[column]).as_py() or 0)
            if greatest >= MOST_CLASSES:
                raise DataError(f"{path}: labels must be below {MOST_CLASSES:,}, but the largest is {greatest:,}")
    return greatest + 1


def first_image(path: Path) -> bytes:
    """The encoded image in a table's first row; empty if there is none."""
    with opened(path) as file:
        column = find_columns(path, file.schema_arrow).image
        for batch in file.iter_batches(batch_size=1, columns=[column]):
            value = batch.column(0)[0].as_py()
            return bytes((value["bytes"] if isinstance(value, dict) else value) or b"")
    return b""


def _files(root: Path, split: str) -> list[Path]:
    for folder in (root, root / "data"):
        if (single := folder / f"{split}.parquet").is_file():
            return [single]
        if files := sorted(file for file in folder.glob(f"{split}-*.parquet") if file.is_file()):
            total = files[0].stem.rpartition("-of-")[2]
            if total.isdecimal() and len(files) != int(total):
                raise DataError(f"{folder}: must have {int(total)} files {split}-*.parquet, but has {len(files)}")
            return files
    return []


def _holds_images(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _pick(path: Path, schema: Any, wanted: Sequence[str], fitting: list[str]) -> str:
    for column in wanted:
        if column in schema.names:
            return column
    if len(fitting) == 1:
        return fitting[0]
    raise DataError(f"{path}: the table must have a column {' or '.join(wanted)}, but has {', '.join(schema.names)}")
