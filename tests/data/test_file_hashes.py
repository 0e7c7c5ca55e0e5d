"""A streamed set is known by what is in its files, and a file is read for that once."""

import os
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.data.at_once import load_at_once
from tests.data.made_up import image_bytes, write_folder
from wsnet.config.image_folder import find_layout
from wsnet.config.reading.own_files import data_config
from wsnet.data import DataError, ImageSplits, cache_folder, file_hashes, file_index, load, own_images
from wsnet.data.file_hashes import Progress
from wsnet.data.own_images import listed


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read for their hash."""
    names: list[str] = []
    known = file_hashes._hash_file
    monkeypatch.setattr(file_hashes, "_hash_file", lambda path: names.append(path.name) or known(path))
    return names


def streamed(path: Path, size: int = 24, check: bool = True) -> ImageSplits:
    """Load a folder as a process does that has just begun."""
    listed.cache_clear()
    return load(data_config(name="folder", path=str(path), stream=True, size=size), check=check)


def rewrite(file: Path) -> None:
    """Other pixels with as many bytes, and the time that the file had."""
    before = file.stat()
    changed = bytearray(file.read_bytes())
    changed[-10] ^= 1
    file.write_bytes(changed)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_a_file_encoded_anew_to_the_same_size_makes_another_set(tmp_path: Path) -> None:
    one, two = write_folder(tmp_path / "one"), write_folder(tmp_path / "two")
    rewrite(two / "train" / "cat" / "0001.jpg")
    assert streamed(one).hash != streamed(two).hash


def test_neither_the_place_nor_the_times_nor_the_name_of_the_test_folder_count(tmp_path: Path) -> None:
    one, two = write_folder(tmp_path / "one"), write_folder(tmp_path / "two", test_name="val")
    for file in two.rglob("*.jpg"):
        os.utime(file, (1e9, 1e9))
    assert streamed(one).hash == streamed(two).hash


@pytest.mark.parametrize("change", ["name", "class", "split"])
def test_names_classes_and_splits_count(tmp_path: Path, change: str) -> None:
    one, two = write_folder(tmp_path / "one"), write_folder(tmp_path / "two")
    moved = {"name": "train/cat/0009.jpg", "class": "train/dog/0009.jpg", "split": "test/cat/0009.jpg"}[change]
    (two / "train" / "cat" / "0001.jpg").rename(two / moved)
    assert streamed(one).hash != streamed(two).hash


def test_unchanged_files_are_never_read_again(tmp_path: Path, read: list[str]) -> None:
    path = write_folder(tmp_path / "images")
    first = streamed(path)
    assert len(read) == 18
    assert streamed(path).hash == first.hash and streamed(path, size=20).hash == first.hash
    assert len(read) == 18


def test_of_a_folder_that_grows_only_the_new_file_is_read(tmp_path: Path, read: list[str]) -> None:
    path = write_folder(tmp_path / "images")
    first = streamed(path)
    read.clear()
    (path / "train" / "cat" / "0000a.jpg").write_bytes(image_bytes(9))
    second = streamed(path)
    assert read == ["0000a.jpg"] and len(second.train) == 13 and second.hash != first.hash
    (path / "train" / "cat" / "0000a.jpg").unlink()
    assert streamed(path).hash == first.hash and read == ["0000a.jpg"]


@pytest.mark.parametrize("in_place", [True, False])
def test_a_file_written_over_is_noticed_though_its_time_was_set_back(
    tmp_path: Path, read: list[str], in_place: bool
) -> None:
    path = write_folder(tmp_path / "images")
    file = path / "train" / "dog" / "0002.jpg"
    folders = find_layout(path).signature
    first, inode = streamed(path), file.stat().st_ino
    read.clear()
    if in_place:
        rewrite(file)
    else:
        times, folder = file.stat(), file.parent.stat()
        (tmp_path / "other.jpg").write_bytes(file.read_bytes())
        rewrite(tmp_path / "other.jpg")
        os.utime(tmp_path / "other.jpg", ns=(times.st_atime_ns, times.st_mtime_ns))
        os.replace(tmp_path / "other.jpg", file)
        os.utime(file.parent, ns=(folder.st_atime_ns, folder.st_mtime_ns))
    assert find_layout(path).signature == folders and (file.stat().st_ino == inode) == in_place
    assert streamed(path).hash != first.hash and read == ["0002.jpg"]


def test_a_file_that_was_only_touched_is_read_again_and_the_set_stays(tmp_path: Path, read: list[str]) -> None:
    path = write_folder(tmp_path / "images")
    first = streamed(path)
    read.clear()
    os.utime(path / "test" / "eel" / "0001.jpg", (1e9, 1e9))
    assert streamed(path).hash == first.hash and read == ["0001.jpg"]


def test_without_a_check_the_index_is_used_as_it_is_and_no_file_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_folder(tmp_path / "images")
    first = streamed(path)
    rewrite(path / "train" / "dog" / "0002.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(file_index, "listed", None)  # To call it would be an error.
        assert streamed(path, check=False).hash == first.hash
    checked = streamed(path)
    assert checked.hash != first.hash and streamed(path, check=False).hash == checked.hash


def test_a_link_is_followed_and_another_target_is_noticed(tmp_path: Path) -> None:
    path, real = write_folder(tmp_path / "images"), tmp_path / "real.jpg"
    link = path / "train" / "cat" / "0001.jpg"
    real.write_bytes(link.read_bytes())
    first = streamed(path)
    link.unlink()
    link.symlink_to(real)
    assert streamed(path).hash == first.hash
    rewrite(real)
    assert streamed(path).hash != first.hash
    real.unlink()
    with pytest.raises(DataError, match=r"train/cat/0001\.jpg: cannot be read \(No such file"):
        streamed(path)


@pytest.mark.parametrize("kind", ["gone", "folder"])
def test_a_file_that_can_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    path = write_folder(tmp_path / "images")
    file = path / "test" / "dog" / "0001.jpg"
    known = file_hashes.content_hashes

    def vanishing(listing: own_images.Listing) -> file_hashes.Hashes:
        file.unlink()
        if kind == "folder":
            file.mkdir()
        return known(listing)

    monkeypatch.setattr(file_index, "content_hashes", vanishing)
    with pytest.raises(DataError, match=r"test/dog/0001\.jpg: cannot be read \((No such file|Is a directory)"):
        streamed(path)


def test_hashing_that_was_cut_off_goes_on_from_there(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_folder(tmp_path / "images")
    monkeypatch.setattr(file_hashes, "_CHUNK", 1)
    count, counted = Progress.due, []

    def interrupted(progress: Progress, at: np.ndarray) -> bool:
        counted.append(at)
        if len(counted) == 6:
            raise KeyboardInterrupt
        progress._next = 0.0
        return count(progress, at)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Progress, "due", interrupted)
        streamed(path)
    assert f"{path}: reading every image once to hash it: 5 of 18 images" in capsys.readouterr().err
    assert len(table_names(path)) == 6
    read.clear()
    streamed(path)
    assert len(read) == 12


def table_names(path: Path) -> list[str]:
    with pa.memory_map(str(file_hashes.table_file(path))) as file:
        return pa.ipc.open_file(file).get_batch(0).column(0).to_pylist()


def test_the_table_is_saved_while_files_are_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_folder(tmp_path / "images")
    rest, saved = threading.Event(), []
    known, save = file_hashes._hash_file, file_hashes._save

    def waiting(file: Path) -> bytes:
        assert file.name != "0003.jpg" or rest.wait(30)
        return known(file)

    def saving(*of: object) -> None:
        save(*of)  # type: ignore[arg-type]
        saved.append(len(table_names(path)))
        rest.set()

    monkeypatch.setattr(file_hashes, "_CHUNK", 1)
    monkeypatch.setattr(file_hashes, "_hash_file", waiting)
    monkeypatch.setattr(file_hashes, "_save", saving)
    monkeypatch.setattr(Progress, "due", lambda progress, at: True)
    streamed(path)
    assert saved[0] < 18 and saved[-1] == 18


def test_a_table_that_is_damaged_is_made_anew(tmp_path: Path, read: list[str]) -> None:
    path = write_folder(tmp_path / "images")
    first = streamed(path)
    for file in cache_folder().glob("*.arrow"):
        file.write_bytes(file.read_bytes()[:-100])
    assert streamed(path).hash == first.hash and len(read) == 36


def test_a_cache_that_can_not_be_written_costs_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_folder(tmp_path / "images")
    first = streamed(path)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="hashes of images cannot be kept in .*every trial reads all of them"):
        assert streamed(path).hash == first.hash


@pytest.mark.slow
def test_of_two_processes_at_once_one_reads_the_files(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "images", train=20)
    data = data_config(name="folder", path=str(path), stream=True, size=24)
    one, two = load_at_once(2, data, cache=tmp_path / "cache", root=tmp_path)
    assert one.hash == two.hash and sorted((one.files_hashed, two.files_hashed)) == [0, 66]
