"""The official archives in torchvision's folders."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from wsnet.config.data import DataConfig
from wsnet.data import DataError, load


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path / "cache"))


def write_idx(path: Path, values: np.ndarray) -> None:
    """MNIST's file format: two zeros, the type of uint8, the number of dimensions, big-endian sizes, the values."""
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes()
    path.write_bytes(header + values.astype(np.uint8).tobytes())


@pytest.mark.slow
def test_mnist_is_read_from_the_unpacked_official_files(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    parts = {"train": 60_000, "t10k": 10_000}
    images = {part: random.integers(0, 256, (size, 28, 28), np.uint8) for part, size in parts.items()}
    labels = {part: random.integers(0, 10, size) for part, size in parts.items()}
    for part in parts:
        write_idx(raw / f"{part}-images-idx3-ubyte", images[part])
        write_idx(raw / f"{part}-labels-idx1-ubyte", labels[part])
    for _ in range(2):  # decoded, then mapped
        loaded = load(DataConfig(name="mnist"), root=tmp_path)
        assert np.array_equal(loaded.train.images[..., 0], images["train"])
        assert np.array_equal(loaded.test.labels, labels["t10k"])


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_a_download_that_is_refused_leaves_nothing_behind(
    name: Literal["cifar10", "mnist"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("403: not from here")

    monkeypatch.setattr("wsnet.data.official._require_server", lambda urls: None)  # It answers that it is there.
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(DataError, match="could not be downloaded"):
        load(DataConfig(name=name), root=tmp_path / "data")
    assert not (tmp_path / "data").exists()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").touch()
    with pytest.raises(DataError, match="could not be downloaded"):
        load(DataConfig(name=name), root=tmp_path / "data")
    assert (tmp_path / "data" / "mine").exists()


def test_damaged_official_files_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for file in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"):
        (folder / file).write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"cifar-10-batches-py: not the intact official files of 'cifar10'"):
        load(DataConfig(name="cifar10"), root=tmp_path)
