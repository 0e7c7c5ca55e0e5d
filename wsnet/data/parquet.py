"""Image sets in the Hugging Face Parquet layout: a column of image files inside the table, and a column of labels."""

import io
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from wsnet.config.sets import SetFacts
from wsnet.data.images import DataError, ImageSet, Labels, Pixels

__all__ = ["decode_parquet", "parquet_files", "read_parquet_split"]

_IMAGE_COLUMNS = ("img", "image")
_LABEL_COLUMNS = ("label", "fine_label")
_ROWS_PER_TASK = 500


def parquet_files(name: str, root: Path) -> list[Path]:
    """Where the training and the test table of a set are looked for."""
    return [root / name / "train.parquet", root / name / "test.parquet"]


def decode_parquet(name: str, root: Path, facts: SetFacts) -> tuple[ImageSet, ImageSet, tuple[str, ...]]:
    """Decode both tables of a set.

    Returns:
        The training images, the test images, the names of the classes (their numbers where the files name none).

    Raises:
        DataError: naming the file, and the row where there is one.
    """
    train_file, test_file = parquet_files(name, root)
    train, names = read_parquet_split(train_file, size=facts.train, classes=facts.classes, shape=facts.shape)
    test, _ = read_parquet_split(test_file, size=facts.test, classes=facts.classes, shape=facts.shape)
    return train, test, names


def read_parquet_split(
    path: Path, *, size: int, classes: int, shape: tuple[int, int, int]
) -> tuple[ImageSet, tuple[str, ...]]:
    """Decode one table.

    Args:
        path: a Parquet file with an image column `img` or `image` (struct<bytes: binary, path: string>, the bytes one
            whole PNG, JPEG or WebP file) and an integer column `label` or `fine_label`.
        size: the expected number of rows.
        classes: the number of classes.
        shape: the expected (channels, height, width).

    Raises:
        DataError: if the file is damaged or something in it is not as expected; rows are counted from 0.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
            if rows != size:
                raise DataError(f"{path}: the table must have {size} rows, but has {rows}")
            image_column = _find_column(path, schema, _IMAGE_COLUMNS)
            label_column = _find_column(path, schema, _LABEL_COLUMNS)
            table = file.read(columns=[image_column, label_column])
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}); put an undamaged copy there") from error
    labels = _labels(path, table[label_column], classes)
    encoded = _encoded(path, table[image_column])
    return ImageSet(_decode(path, encoded, shape), labels), _class_names(schema, label_column, classes)


def _find_column(path: Path, schema: pa.Schema, wanted: Sequence[str]) -> str:
    for column in wanted:
        if column in schema.names:
            return column
    raise DataError(f"{path}: the table must have a column {' or '.join(wanted)}, but has {', '.join(schema.names)}")


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
    if not (pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0):
        raise DataError(f"{path}: images must be struct<bytes: binary, path: string>, but got {column.type}")
    files: list[bytes | None] = pc.struct_field(column, "bytes").to_pylist()
    return files


def _class_names(schema: pa.Schema, label_column: str, classes: int) -> tuple[str, ...]:
    """The names in the Hugging Face metadata; only for reading, so anything unexpected there falls back to numbers."""
    try:
        features: Any = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = tuple(str(name) for name in features[label_column]["names"])
    except (KeyError, TypeError, ValueError):
        names = ()
    return names if len(names) == classes else tuple(str(label) for label in range(classes))


def _decode(path: Path, encoded: list[bytes | None], shape: tuple[int, int, int]) -> Pixels:
    """Decode image files by several threads (Pillow decodes outside Python's lock)."""
    channels, height, width = shape
    pixels = np.empty((len(encoded), height, width, channels), np.uint8)
    mode = {1: "L", 3: "RGB"}[channels]

    def decode_rows(start: int) -> None:
        for row in range(start, min(start + _ROWS_PER_TASK, len(encoded))):
            try:
                with Image.open(io.BytesIO(encoded[row] or b"")) as image:
                    if image.size != (width, height):
                        raise DataError(
                            f"{path}: row {row}: an image must be {width} x {height} pixels, "
                            f"but is {image.width} x {image.height}"
                        )
                    pixels[row] = np.asarray(image.convert(mode)).reshape(height, width, channels)
            except DataError:
                raise
            except Exception as error:  # Pillow's plugins raise nearly anything on damaged bytes
                raise DataError(f"{path}: row {row}: not a decodable image ({error})") from error

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for _ in pool.map(decode_rows, range(0, len(encoded), _ROWS_PER_TASK)):
            pass  # brings the exceptions of the first damaged rows here
    return pixels
