"""A sweep whose results go to S3, which goes away for a while, or for good."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.s3 import S3Server, s3_server
from tests.sweep.tiny import alone, command, environment, records, until, write
from wsnet.storage import Folder, Manifest, trial_directory

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive, pytest.mark.timeout(900)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    with s3_server(tmp_path) as running:
        yield running


def test_a_sweep_waits_for_its_storage_then_gives_up_in_one_sentence_and_goes_on_later(
    server: S3Server, tmp_path: Path, cluster: str
) -> None:
    path = write(tmp_path, train={"epochs": 60}, resources={"max_failures": 0})
    line = command(path, "--storage", server.uri, "--address", cluster, "--tracking-uri", f"sqlite:///{tmp_path}/m.db")
    sweep = Folder(server.uri) / "tiny"

    def epochs() -> int:
        (entry,) = Manifest.read(sweep).trials
        return len(trial_directory(sweep, entry.trial_id).records())

    def start() -> subprocess.Popen[str]:
        log = (tmp_path / "printed").open("w")
        patience = {"WSNET_STORAGE_PATIENCE": "20"}
        return subprocess.Popen(line, env={**environment(), **patience}, stdout=log, stderr=log, text=True)

    def printed() -> str:
        return (tmp_path / "printed").read_text()

    process = start()
    until(lambda: sweep.exists("sweep.json") and epochs() > 2, process=process)
    server.disconnect()
    until(lambda: "does not answer" in printed(), process=process)
    server.connect()
    before = epochs()
    until(lambda: epochs() > before, process=process)
    server.disconnect()
    assert process.wait(timeout=200) == 1, printed()
    (sentence,) = [text for text in printed().splitlines() if "has not answered for" in text]
    assert (
        sentence.endswith(f"run the same command: python run_sweep.py {' '.join(line[2:])}") or "run_sweep" in sentence
    )
    assert "Traceback" not in printed() and "Error" not in printed().replace("network error", "")
    server.connect()
    assert epochs() < 60
    process = start()
    assert process.wait(timeout=200) == 0, printed()
    (entry,) = Manifest.read(sweep).trials
    directory = trial_directory(sweep, entry.trial_id)
    copy = tmp_path / "copy" / entry.trial_id
    copy.mkdir(parents=True)
    for name in ("trial.yaml", "records.jsonl"):
        (copy / name).write_bytes(directory.folder.read(name) or b"")
    copied = type(directory)(Folder(copy))
    assert epochs() == 60 and records(copied) == alone(copied, tmp_path)
