"""Made-up image sets of one's own: folders of smooth random JPEGs, and Parquet tables of them."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

__all__ = ["image_bytes", "picture", "write_folder", "write_table"]


def picture(seed: int, width: int = 50, height: int = 40, mode: str = "RGB") -> Image.Image:
    """A smooth random image."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def image_bytes(seed: int, width: int = 50, height: int = 40, mode: str = "RGB", file_format: str = "JPEG") -> bytes:
    """The same as a file."""
    buffer = io.BytesIO()
    picture(seed, width, height, mode).save(buffer, file_format, **({"quality": 90} if file_format == "JPEG" else {}))
    return buffer.getvalue()


def write_folder(
    root: Path,
    *,
    classes: tuple[str, ...] = ("cat", "dog", "eel"),
    train: int = 4,
    test: int = 2,
    test_name: str = "test",
    same_size: bool = False,
) -> Path:
    """Write train/<class>/*.jpg and test/<class>/*.jpg: so many a class, of sizes around 50 x 40."""
    for split, count in (("train", train), (test_name, test)):
        for label, name in enumerate(classes):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                seed = label * 1000 + number + (split != "train") * 500
                size = (50, 40) if same_size else (40 + seed % 23, 40 + seed % 17)
                (folder / f"{number:04}.jpg").write_bytes(image_bytes(seed, *size))
    return root


def write_table(
    path: Path, files: list[bytes | None], labels: list[Any], *, names: list[str] | None = None, plain: bool = False
) -> Path:
    """Write a table in the Hugging Face layout; `plain` has the bytes without the struct around them."""
    if plain:
        images = pa.array(files, pa.binary())
    else:
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        images = pa.array([{"bytes": file, "path": "x"} for file in files], kind)
    table = pa.table({"image": images, "label": labels})
    if names is not None:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path
