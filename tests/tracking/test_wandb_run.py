"""What a W&B run says about its trial."""

import math
from dataclasses import replace
from pathlib import Path

from tests.tracking.sweeps import manifest, train
from wsnet.storage import Folder, Status, trial_directory
from wsnet.tracking.wandb_run import configuration, description, exit_code, logged, state_of, summary
from wsnet.tracking.wandb_uploads import Upload, Uploads

SWEEP = manifest()
ENTRY = SWEEP.trials[-1]


def config_of(tmp_path: Path, **changes: object) -> dict[str, object]:
    train(Folder(tmp_path), ENTRY)
    text = trial_directory(Folder(tmp_path), ENTRY.trial_id).folder.read("trial.yaml") or b""
    return configuration(SWEEP, replace(ENTRY, **changes), text.decode(), "abc")  # type: ignore[arg-type]


def test_a_run_has_the_id_of_its_trial_and_the_group_of_its_setting() -> None:
    assert description(SWEEP, ENTRY) == {
        "id": ENTRY.trial_id,
        "name": "on-b4-s2",
        "group": "on-b4",
        "job_type": "trial",
        "tags": ["batches"],
    }


def test_names_are_as_long_as_wandb_allows() -> None:
    long = description(replace(SWEEP, name="s" * 80), replace(ENTRY, name="n" * 200 + "-s2"))
    assert [len(long["name"]), len(long["group"]), len(long["tags"][0])] == [128, 128, 64]


def test_the_config_has_every_option_and_what_varies(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    assert config["data"] == {"name": "digits", "augment": {"crop_padding": 4, "flip": True}}
    assert config["seed"] == 2
    varied = {
        "model": {"norm": {"name": "online"}, "weight": "standardized"},
        "optim": {"milestones": [30, 60], "lr": 1e-3},
        "train": {"batch_size": 4},
    }
    assert config["varied"] == varied
    belongs = {"setting_id": ENTRY.setting_id, "trial_id": ENTRY.trial_id, "revision": "abc"}
    assert config["wsnet"] == {"sweep": "batches", "question": SWEEP.question, **belongs}


def test_a_trial_at_several_places_of_the_sweep_has_all_its_values_and_a_case_its_label(tmp_path: Path) -> None:
    axes = {"case": "ResNet-8", "train.batch_size": 8, "model.weight": None}
    config = config_of(tmp_path, axes=axes, also=[{**axes, "train.batch_size": 64}])
    assert config["varied"] == {"case": "ResNet-8", "train": {"batch_size": "8, 64"}}


def test_an_epoch_is_logged_without_the_measurements_of_layers() -> None:
    record = {"epoch": 2, "lr": 0.1, "test/top1_error": 7.0, "time/epoch_seconds": 1.5, "layers/conv1/mean": 0.1}
    assert logged(record) == {"epoch": 2, "lr": 0.1, "test/top1_error": 7.0, "time/epoch_seconds": 1.5}


def test_the_final_values_are_those_of_the_last_epoch_of_a_trial_that_is_never_run_again() -> None:
    records = [{"epoch": 1, "test/top1_error": 9.0}, {"epoch": 2, "test/top1_error": 7.0, "time/epoch_seconds": 1.0}]
    finished, failed = Status(status="finished", epoch=2), Status(status="failed", epoch=2, message="no memory")
    assert summary(finished, records) == {"test/top1_error": 7.0, "status": "finished", "message": ""}
    assert summary(failed, records) == {"status": "failed", "message": "no memory"}


def test_a_trial_that_crashed_or_diverged_is_shown_as_failed() -> None:
    codes = {status: exit_code(Status(status=status)) for status in ("finished", "stopped", "diverged", "failed")}
    assert codes == {"finished": 0, "stopped": 0, "diverged": 1, "failed": 1}


def test_the_noted_uploads_survive_a_line_that_was_cut_off_and_do_not_count_for_another_project(tmp_path: Path) -> None:
    folder, state = Folder(tmp_path), state_of("a", {"x": math.inf})
    uploads = Uploads(folder, "here me/p")
    uploads.add(Upload(run="1", state=state, url="http://x/me/p"))
    folder.append("wandb.jsonl", b'{"project": "here me/p", "ru')
    Uploads(folder, "here me/p").add(Upload(run="2", state=state, last=3))
    again = Uploads(folder, "here me/p")
    assert again.has("1", state) and again.has("2", state) and again.url == "http://x/me/p"
    assert not again.has("1", state_of("b")) and again.get("2") == Upload(run="2", state=state, last=3)
    assert not Uploads(folder, "here me/other").has("1", state)
