"""Image sets from their files to arrays: digits, the real CIFAR-10 (as JPEG), damaged and missing files."""

import io
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock, Timeout
from PIL import Image

from tests.data.at_once import load_at_once
from tests.shared import SHARED
from wsnet.config.data import DataConfig
from wsnet.config.datasets import IMAGE_SETS
from wsnet.data import DataError, cache_folder, load
from wsnet.data.cache import data_root
from wsnet.data.parquet import read_parquet_split

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path / "cache"))


def test_digits_have_a_fixed_stratified_split() -> None:
    digits = load(DataConfig(name="digits"))
    assert digits.train.images.shape == (1497, 8, 8, 1) and digits.test.images.shape == (300, 8, 8, 1)
    assert digits.train.images.dtype == np.uint8 and digits.train.labels.dtype == np.int64
    assert digits.train.images.max() == 255 and digits.validation is None
    assert set(np.bincount(digits.test.labels)) <= {29, 30, 31} and len(digits.classes) == 10
    assert digits.hash == load(DataConfig(name="digits")).hash


def test_the_statistics_of_digits_are_those_of_its_training_images() -> None:
    pixels = load(DataConfig(name="digits")).train.images / 255
    facts = IMAGE_SETS["digits"]
    assert facts.mean == (round(float(pixels.mean()), 4),) and facts.std == (round(float(pixels.std()), 4),)


@pytest.mark.slow
def test_a_second_load_maps_the_cache_and_needs_neither_scikit_learn_nor_pandas() -> None:
    first = load(DataConfig(name="digits"))
    program = (
        "import sys; from wsnet.config.data import DataConfig; from wsnet.data import load;"
        "images = load(DataConfig(name='digits')); assert not {'sklearn', 'pandas'} & set(sys.modules);"
        "assert not images.train.images.flags.owndata and not images.train.images.flags.writeable; print(images.hash)"
    )
    printed = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, check=True, capture_output=True, text=True)
    assert printed.stdout.strip() == first.hash


def test_validation_is_carved_out_of_the_training_images() -> None:
    whole, split = load(DataConfig(name="digits")), load(DataConfig(name="digits", validation=300))
    assert split.validation is not None and len(split.validation) == 300 and len(split.train) == 1197
    together = np.concatenate([split.train.images, split.validation.images])
    assert sorted(map(bytes, together)) == sorted(map(bytes, whole.train.images))
    assert np.array_equal(split.test.images, whole.test.images)
    assert np.ptp(np.bincount(split.validation.labels)) <= 2


def test_a_limit_is_a_stratified_subset_of_every_split() -> None:
    config = DataConfig(name="digits", validation=300, limit=100)
    split = load(config)
    assert split.validation is not None
    for part in (split.train, split.validation, split.test):
        assert len(part) == 100 and set(np.bincount(part.labels)) <= {9, 10, 11}
    assert np.array_equal(load(config).train.images, split.train.images)
    assert len(split.train) == config.train_size


def test_the_hash_tells_splits_apart() -> None:
    options: list[dict[str, Any]] = [{}, {"validation": 100}, {"validation": 200}, {"limit": 50}, {"limit": 5000}]
    hashes = [load(DataConfig(name="digits", **option)).hash for option in options]
    assert len(set(hashes)) == 4 and hashes[0] == hashes[-1]  # a limit that limits nothing is none


def test_a_cache_that_can_not_be_written_costs_a_warning_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load(DataConfig(name="digits")).hash
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="WSNET_CACHE"):
        assert load(DataConfig(name="digits")).hash == expected


def test_a_lock_ends_with_the_process_that_held_it_however_it_ends(tmp_path: Path) -> None:
    lock = tmp_path / "cache" / "digits.lock"
    lock.parent.mkdir()
    program = "lock = FileLock(sys.argv[1]); lock.acquire(); print(1, flush=True); input()"
    command = [sys.executable, "-c", f"import sys; from filelock import FileLock; {program}", str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"1\n"
        with pytest.raises(Timeout):
            FileLock(lock).acquire(timeout=0)
        process.kill()
    assert len(load(DataConfig(name="digits")).train) == 1497


def test_a_damaged_cache_file_is_made_anew(tmp_path: Path) -> None:
    expected = load(DataConfig(name="digits")).hash
    (cached,) = (tmp_path / "cache").glob("*.arrow")
    whole = cached.read_bytes()
    cached.unlink()
    cached.write_bytes(whole[: len(whole) // 2])
    assert load(DataConfig(name="digits")).hash == expected
    assert cached.read_bytes() == whole and len(list((tmp_path / "cache").glob("*"))) == 2  # and the lock


def test_the_data_folder_is_the_option_or_the_variable_or_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSNET_DATA", "/from/variable")
    assert data_root("/from/option") == Path("/from/option") and data_root(None) == Path("/from/variable")
    monkeypatch.delenv("WSNET_DATA")
    assert data_root(None) == Path("data")


# Several processes, real files


@pytest.mark.slow
@pytest.mark.skipif(SHARED is None, reason="needs the shared image sets")
def test_processes_that_start_at_once_decode_cifar10_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SHARED is not None
    root, cache = tmp_path / "images", tmp_path / "cache"
    root.mkdir()
    (root / "cifar10").symlink_to(SHARED / "data" / "cifar10_jpeg")
    results = load_at_once(3, DataConfig(name="cifar10"), cache=cache, root=root)
    assert sorted(found.decodes for found in results) == [0, 0, 1]
    assert len({(found.hash, found.total) for found in results}) == 1

    start = time.process_time()  # CPU time: a busy machine does not count.
    images = load(DataConfig(name="cifar10"), root=root)
    assert time.process_time() - start < 0.1
    assert images.hash == results[0].hash
    assert images.train.images.shape == (50_000, 32, 32, 3) and images.test.images.shape == (10_000, 32, 32, 3)
    assert set(np.bincount(images.train.labels)) == {5000} and images.classes[-1] == "truck"
    # the published statistics; JPEG narrows the deviation by 0.002
    pixels = images.train.images[:10_000] / 255
    assert pixels.mean((0, 1, 2)) == pytest.approx(images.mean, abs=0.005)
    assert pixels.std((0, 1, 2)) == pytest.approx(images.std, abs=0.005)


# Files that are missing or damaged


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist", "fashion_mnist"])
def test_missing_images_are_an_error_that_says_where_and_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "https_proxy"):  # a machine without a network: nothing listens on the port
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("urllib.request._opener", None)  # It keeps the proxies that it was made with.
    root = tmp_path / "empty"
    start = time.perf_counter()
    with pytest.raises(DataError) as caught:
        load(DataConfig(name=name), root=root)  # type: ignore[arg-type]
    assert time.perf_counter() - start < 15
    message = str(caught.value)
    archive = {"cifar10": "cifar-10-python.tar.gz", "cifar100": "cifar-100-python.tar.gz"}.get(
        name, "train-images-idx3-ubyte.gz"
    )
    for part in (
        str(root / name / "train.parquet"),
        str(root / name / "test.parquet"),
        archive,
        "run once with a network connection",
        "WSNET_DATA",
    ):
        assert part in message
    assert not root.exists(), "a dry run, too, asks for the images"


def image_file(value: int, file_format: str = "PNG", size: int = 28) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((size, size), value, np.uint8)).save(buffer, file_format, lossless=True)
    return buffer.getvalue()


def write_table(path: Path, files: list[bytes], labels: list[int], column: str = "image") -> Path:
    images = pa.array(
        [{"bytes": file, "path": "x"} for file in files], pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    )
    pq.write_table(pa.table({column: images, "label": labels}), path, row_group_size=2)
    return path


def read(path: Path, size: int) -> np.ndarray:
    return read_parquet_split(path, size=size, classes=10, shape=(1, 28, 28))[0].images


@pytest.mark.parametrize("column", ["img", "image"])
def test_png_webp_and_jpeg_are_read_in_row_order(tmp_path: Path, column: str) -> None:
    files = [image_file(value, kind) for value, kind in [(10, "PNG"), (20, "WebP"), (30, "JPEG"), (40, "PNG")]]
    path = write_table(tmp_path / "train.parquet", files, [0, 1, 2, 3], column)
    assert read(path, 4)[:, 0, 0, 0].tolist() == [10, 20, 30, 40]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({3: b"not an image"}, "row 3: not a decodable image"),
        ({2: image_file(1)[:50]}, "row 2: not a decodable image"),
        ({4: image_file(1, size=27)}, "row 4: an image must be 28 x 28 pixels, but is 27 x 27"),
        ({1: None}, "row 1: not a decodable image"),
    ],
)
def test_an_undecodable_image_is_named_by_file_and_row(tmp_path: Path, damage: dict[int, bytes], message: str) -> None:
    files = [damage.get(row, image_file(row)) for row in range(6)]
    path = write_table(tmp_path / "train.parquet", files, [0] * 6)
    with pytest.raises(DataError, match=message) as caught:
        read(path, 6)
    assert str(path) in str(caught.value)


def test_a_wrong_label_is_named_by_file_and_row(tmp_path: Path) -> None:
    path = write_table(tmp_path / "train.parquet", [image_file(0)] * 4, [0, 1, 10, 3])
    with pytest.raises(DataError, match=r"train\.parquet: row 2: a label must be 0 to 9, but got 10"):
        read(path, 4)


def test_a_wrong_number_of_rows_is_an_error(tmp_path: Path) -> None:
    path = write_table(tmp_path / "train.parquet", [image_file(0)] * 4, [0, 1, 2, 3])
    with pytest.raises(DataError, match=r"train\.parquet: the table must have 5 rows, but has 4"):
        read(path, 5)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.9])
def test_a_cut_file_is_named(tmp_path: Path, keep: float) -> None:
    path = write_table(tmp_path / "train.parquet", [image_file(row) for row in range(6)], [0] * 6)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(DataError, match=r"train\.parquet: not a readable Parquet file"):
        read(path, 6)


def test_a_table_without_images_says_which_columns_it_has(tmp_path: Path) -> None:
    pq.write_table(pa.table({"picture": ["a cat"], "label": [0]}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match="must have a column img or image, but has picture, label"):
        read(tmp_path / "train.parquet", 1)


def test_a_damaged_set_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "mnist"
    folder.mkdir(parents=True)
    for file in ("train.parquet", "test.parquet"):
        write_table(folder / file, [image_file(0)] * 4, [0, 1, 2, 3])
    with pytest.raises(DataError, match="must have 60000 rows, but has 4"):
        load(DataConfig(name="mnist"), root=tmp_path / "images")
    assert [path.name for path in cache_folder().iterdir()] == ["mnist.lock"]
