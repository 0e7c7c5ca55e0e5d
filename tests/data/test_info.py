"""`python -m wsnet.data info`."""

from pathlib import Path

import pytest

from tests.data.made_up import image_bytes, write_folder, write_table
from wsnet.data import cache_folder
from wsnet.data.__main__ import main


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSNET_CACHE", str(tmp_path / "cache"))


def info(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, str]:
    assert main(["info", *map(str, arguments)]) == 0
    lines = capsys.readouterr().out.splitlines()
    return {line[:10].strip(): line[11:] for line in lines}


def test_a_known_set_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    found = info(capsys, "digits")
    assert found["images"] == "1,497 training, 300 test" and found["classes"] == "10: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert found["mean"].startswith("0.3051") and found["cache"].startswith(str(cache_folder()))
    assert Path(found["cache"]).is_file() and len(found["hash"]) == 64


@pytest.mark.parametrize("stream", [False, True])
def test_a_folder_is_described(tmp_path: Path, capsys: pytest.CaptureFixture[str], stream: bool) -> None:
    path = write_folder(tmp_path / "images")
    found = info(capsys, path, "--size", "24", *(["--stream"] if stream else []))
    assert found["set"].startswith(f"folder ({'streamed' if stream else 'decoded once'}")
    assert found["found in"] == str(path) and found["shape"].startswith("3 x 24 x 24")
    assert found["per class"] == "4 training, 2 test" and found["classes"] == "3: cat, dog, eel"
    assert Path(found["cache"]).is_file()


def test_a_folder_of_tables_is_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("train", "test"):
        write_table(tmp_path / f"{split}.parquet", [image_bytes(0), image_bytes(1)], [1, 0], names=["no", "yes"])
    assert info(capsys, tmp_path)["classes"] == "2: no, yes"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cifar11"], "'cifar11' is neither an image set nor a folder; did you mean 'cifar10'?"),
        (["nope"], "'nope' is neither an image set nor a folder; known: digits, cifar10"),
        (["cifar10", "--size", "3"], "data.size: has no effect with 'cifar10'"),
        (["imagenet"], "imagenet: no such folder"),
        (["."], "data.path: "),
    ],
)
def test_what_can_not_be_used_ends_with_status_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["info", *arguments, "--data-root", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
