"""`python -m wsnet.training`."""

import functools
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training.trials import ROOT, assert_same_checkpoint, config, environment, last, numbers, trained, trial
from wsnet.config.reading.yaml_lines import dump_yaml
from wsnet.storage import Folder, TrialDirectory
from wsnet.training.__main__ import main


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a trial that was trained with `fit`."""
    folder = tmp_path_factory.mktemp("done") / "trial"
    trained(trial(train={"keep": "all"}), folder)
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A trial file."""
    path = tmp_path / "trial.yaml"
    path.write_text(dump_yaml(config().model_dump(mode="json")))
    return path


@pytest.mark.slow
def test_it_trains_as_fit_does_and_loads_neither_ray_nor_mlflow(done: Path, file: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from wsnet.training.__main__ import main; "
        "code = main(sys.argv[1:]); print(*({'ray', 'mlflow'} & set(sys.modules))); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, str(file), "--out", str(tmp_path / "out")]
    ran = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert lines[0].startswith(
        f"trial {trial().trial_id}: cifar_resnet with batch norm, 5,142 parameters; digits, 200 "
    )
    assert [line.split()[:2] for line in lines[1:4]] == [["epoch", f"{epoch}/3"] for epoch in (1, 2, 3)]
    assert lines[4:] == [f"finished after epoch 3: {tmp_path / 'out'}", ""]
    assert_same_checkpoint(last(tmp_path / "out"), last(done))


@pytest.mark.slow
def test_a_trials_own_file_gives_the_same_trial(done: Path, tmp_path: Path) -> None:
    assert main([str(done / "trial.yaml"), "--out", str(tmp_path / "again")]) == 0
    assert_same_checkpoint(last(tmp_path / "again"), last(done))


def test_evaluate_prints_the_numbers_of_the_last_record(
    done: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(file), "--evaluate", str(done / "last.pt")]) == 0
    record = last(done).records[-1]
    pattern = r"(\w+): loss ([\d.]+)  top-1 ([\d.]+)  top-5 ([\d.]+)  \((\d+) images\)"
    found = {match[0]: match[1:] for match in re.findall(pattern, capsys.readouterr().out)}
    for split, images in (("validation", "100"), ("test", "200")):
        accuracies = [f"{100 - record[f'{split}/top{k}_error']:.2f}" for k in (1, 5)]
        assert found[split] == (f"{record[f'{split}/loss']:.4f}", *accuracies, images)


def test_evaluate_prints_the_averaged_weights_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained(trial(train={"epochs": 1, "ema": {"decay": 0.9}}), tmp_path)
    assert main([str(tmp_path / "trial.yaml"), "--evaluate", str(tmp_path / "last.pt")]) == 0
    out, record = capsys.readouterr().out, last(tmp_path).records[-1]
    for split in ("validation", "test", "validation_ema", "test_ema"):
        assert f"{split}: loss {record[f'{split}/loss']:.4f}  top-1 {100 - record[f'{split}/top1_error']:.2f}" in out


def test_what_the_batch_size_makes_of_the_options_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scaled = config(optim={"scale_with_batch": {"rule": "momentum", "base": 128}}, train={"epochs": 1})
    (tmp_path / "file.yaml").write_text(dump_yaml(scaled.model_dump(mode="json")))
    assert main([str(tmp_path / "file.yaml"), "--out", str(tmp_path / "out")]) == 0
    text = "optim.scale_with_batch gives lr 0.00649906, momentum 0.974004"
    assert text in capsys.readouterr().out.splitlines()
    assert (tmp_path / "out" / "trial.yaml").read_text().splitlines()[1] == f"# {text}"


def test_resume_from_its_own_checkpoint_goes_on_exactly(done: Path, file: Path, tmp_path: Path) -> None:
    assert main([str(file), "--out", str(tmp_path / "out"), "--resume", str(done / "epoch_0002.pt")]) == 0
    assert_same_checkpoint(last(tmp_path / "out"), last(done))


def test_resume_from_another_trials_checkpoint_is_another_trial(
    done: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [str(file), "--resume", str(done / "epoch_0001.pt"), "--set", "seed=1"]
    assert main(command) == 0
    (folder,) = (tmp_path / "runs" / "alone").iterdir()
    assert folder.name == last(folder).trial_id not in (trial().trial_id, trial(seed=1).trial_id)
    assert main(command) == 0 and len(list(folder.parent.iterdir())) == 1


def test_a_diverged_trial_exits_1(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--set", "optim.lr=1e6", "--set", "model.norm={name: none}"]
    assert main([str(file), "--out", str(tmp_path / "out"), *options]) == 1
    assert "diverged after epoch" in capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a command is refused with."""
    assert main([str(argument) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_input_that_can_not_be_used_is_one_clear_line(
    done: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(file.read_text().replace("warmup_epochs:", "warmup_epoch:"))
    assert "did you mean 'warmup_epochs'?" in refused(capsys, wrong)
    assert "no such file" in refused(capsys, tmp_path / "absent.yaml")
    assert "--set: train.epochs" in refused(capsys, file, "--set", "train.epochs=-1")
    for option in ("--resume", "--evaluate"):
        assert "absent.pt cannot be read: No such file" in refused(capsys, file, option, tmp_path / "absent.pt")
        assert "trial.yaml is not a wsnet checkpoint" in refused(capsys, file, option, file)
        wider = refused(capsys, file, option, done / "epoch_0001.pt", "--set", "model.width=8", "--out", tmp_path / "w")
        assert "is of another architecture: size mismatch for" in wider
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes((done / "last.pt").read_bytes()[:5000])
    assert "is not a wsnet checkpoint, or is damaged" in refused(capsys, file, "--evaluate", damaged)
    assert "holds trial" in refused(capsys, file, "--set", "seed=1", "--out", done)
    assert "after epoch 3" in refused(capsys, file, "--set", "seed=1", "--resume", done / "last.pt", "--out", tmp_path)
    assert "groups must divide the channels" in refused(capsys, file, "--set", "model.norm={name: group, groups: 3}")
    small = "model={name: resnet, depth: 18, stem: cifar, norm: {name: instance}}"
    assert "more than one element" in refused(capsys, file, "--set", small, "--out", tmp_path / "small")
    assert "execution.device" in refused(capsys, file, "--set", "execution.device=cuda:63")
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refused(capsys, file, "--out", tmp_path / "file" / "below")


def test_missing_images_are_no_traceback(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(file), "--set", "data={name: mnist}", "--data-root", str(tmp_path / "nothing")]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "mnist" in error and str(tmp_path / "nothing") in error


@pytest.mark.slow
def test_ctrl_c_exits_130_and_keeps_whole_epochs(file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wsnet.training", str(file), "--out", str(tmp_path / "out")]
    command += ["--set", "train.epochs=100000"]
    # What a shell starts in the background ignores SIGINT, and so do its children unless they are told otherwise.
    listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    child = subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True, preexec_fn=listen)
    deadline = time.monotonic() + 60
    while not (tmp_path / "out" / "last.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert errors.strip() == "interrupted; the same command resumes from the last checkpoint"
    assert last(tmp_path / "out").epoch >= 1


def test_a_trial_of_a_stack_is_trained_in_its_place_unless_asked_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, begun = tmp_path / "begun" / "trial.yaml", Folder(tmp_path / "begun")
    begun.write("trial.yaml", dump_yaml(config(seed=1).model_dump(mode="json")).encode())
    assert main([str(file), "--out", str(tmp_path / "stacked"), "--stack", "4,1,0"]) == 0
    assert "side by side with seeds 4, 0" in capsys.readouterr().out
    begun.write("execution.json", (tmp_path / "stacked" / "execution.json").read_bytes())
    for folder, options in (("again", []), ("alone", ["--stack", "1"])):
        assert main([str(file), "--out", str(tmp_path / folder), *options]) == 0
    stacked, again, alone = (
        numbers(TrialDirectory(Folder(tmp_path / name)).records()) for name in ("stacked", "again", "alone")
    )
    assert again == stacked
    assert alone == numbers(trained(trial(seed=1), tmp_path / "by fit").records) != stacked
    assert main([str(file), "--set", "seed=2", "--out", str(tmp_path / "other")]) == 0
    assert "side by side" not in capsys.readouterr().out.splitlines()[-5:]


@pytest.mark.parametrize("seeds", ["0,2", "1,1"])
def test_seeds_side_by_side_are_different_ones_and_the_trials_own_is_among_them(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], seeds: str
) -> None:
    assert main([str(file), "--set", "seed=1", "--stack", seeds, "--out", str(tmp_path / "out")]) == 2
    said = f"--stack must name different seeds, the trial's own seed 1 among them, but got {seeds}\n"
    assert capsys.readouterr().err == said
    assert not (tmp_path / "out").exists()
