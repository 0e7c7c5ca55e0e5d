"""Image sets in the Hugging Face Parquet layout: a column of image files inside the table, and a column of labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wsnet.config.datasets import SetFacts
from wsnet.config.image_table import class_names, find_columns, opened
from wsnet.data.decode import decode
from wsnet.data.images import DataError, ImageSet, Labels

__all__ = ["decode_parquet", "parquet_files", "read_parquet_split", "read_tables"]


def parquet_files(name: str, root: Path) -> list[Path]:
    """Where the training and the test table of a set are looked for."""
    return [root / name / "train.parquet", root / name / "test.parquet"]


def decode_parquet(name: str, root: Path, facts: SetFacts) -> tuple[ImageSet, ImageSet, tuple[str, ...]]:
    """Decode both tables of a set.

    Returns:
        The training images, the test images, the names of the classes (their numbers if the files have no names).

    Raises:
        DataError: naming the file, and the row where there is one.
    """
    train_file, test_file = parquet_files(name, root)
    train, names = read_parquet_split(train_file, size=facts.train, classes=facts.classes, shape=facts.shape)
    test, _ = read_parquet_split(test_file, size=facts.test, classes=facts.classes, shape=facts.shape)
    return train, test, names


def read_tables(
    train: Sequence[Path], test: Sequence[Path], *, classes: int, shape: tuple[int, int, int], resize: bool
) -> tuple[ImageSet, ImageSet, tuple[str, ...]]:
    """Decode the tables of a user's own set; see `read_parquet_split`.

    Raises:
        DataError: as there, or if a class has no training image, or if the tables' class names differ.
    """
    parts, names = [], tuple(map(str, range(classes)))
    for number, path in enumerate([*train, *test]):
        part, named = read_parquet_split(path, size=None, classes=classes, shape=shape, resize=resize)
        if number == 0:
            names = named
        elif named != names:
            raise DataError(f"{path}: the classes must be those of {train[0]}, but are {named}, not {names}")
        parts.append(part)
    joined = _joined(parts[: len(train)])
    empty = np.flatnonzero(np.bincount(joined.labels, minlength=classes) == 0)
    if len(empty):
        raise DataError(f"{train[0]}: class {names[empty[0]]!r} (label {empty[0]}) has no training image")
    return joined, _joined(parts[len(train) :]), names


def read_parquet_split(
    path: Path, *, size: int | None, classes: int, shape: tuple[int, int, int], resize: bool = False
) -> tuple[ImageSet, tuple[str, ...]]:
    """Decode one table.

    Args:
        path: a Parquet file with an image column (struct<bytes: binary, path: string>, the bytes one whole PNG, JPEG
            or WebP file; or the bytes alone) and an integer column of labels; see `find_columns` for their names.
        size: the expected number of rows; None: any.
        classes: the number of classes.
        shape: the expected (channels, height, width).
        resize: whether images of other sizes are resized.

    Raises:
        DataError: if the file is damaged or something in it is not as expected; rows are counted from 0.
    """
    with opened(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
        if size is not None and rows != size:
            raise DataError(f"{path}: the table must have {size} rows, but has {rows}")
        columns = find_columns(path, schema)
        table = file.read(columns=list(columns))
    labels = _labels(path, table[columns.label], classes)
    encoded = _encoded(path, table[columns.image])
    pixels = decode(encoded, lambda row: f"{path}: row {row}", shape, resize=resize)
    names = class_names(schema, columns.label)
    return ImageSet(pixels, labels), names if len(names) == classes else tuple(map(str, range(classes)))


def _joined(parts: list[ImageSet]) -> ImageSet:
    if len(parts) == 1:
        return parts[0]
    return ImageSet(np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts]))


def _labels(path: Path, column: pa.ChunkedArray, classes: int) -> Labels:
    if not pa.types.is_integer(column.type):
        raise DataError(f"{path}: labels must be integers, but got {column.type}")
    valid = pc.and_(pc.greater_equal(column, 0), pc.less(column, classes))
    wrong = np.flatnonzero(~pc.fill_null(valid, False).to_numpy())
    if len(wrong):
        row = int(wrong[0])
        raise DataError(f"{path}: row {row}: a label must be 0 to {classes - 1}, but got {column[row].as_py()}")
    return np.ascontiguousarray(column.to_numpy(), dtype=np.int64)


def _encoded(path: Path, column: pa.ChunkedArray) -> list[bytes | None]:
    if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        column = pc.struct_field(column, "bytes")
    elif not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        raise DataError(f"{path}: images must be struct<bytes: binary, path: string>, but got {column.type}")
    files: list[bytes | None] = column.to_pylist()
    return files
