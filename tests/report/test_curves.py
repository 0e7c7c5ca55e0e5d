"""Learning curves from a sweep's folder."""

import math
from pathlib import Path

import numpy as np
import pytest

from tests.tracking.sweeps import manifest, train, write_sweep
from wsnet.report import ReportError
from wsnet.report.curves import SeedCurve, median_curve, read_curves, read_seed
from wsnet.storage import Folder, trial_directory

TEST, LOSS = "test/top1_error", "train/loss"


def seed(*values: float, diverged: bool = False, metric: str = LOSS) -> SeedCurve:
    """A seed that measured these values in epochs 1, 2, ..."""
    measured = np.array(values)
    return SeedCurve(epochs=np.arange(1.0, len(values) + 1), values={metric: measured}, diverged=diverged)


def test_curves_are_medians_over_the_seeds_at_every_epoch(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path)
    curves = read_curves(folder, sweep.trials, [TEST, LOSS])
    entries = [entry for entry in sweep.trials if entry.name.startswith("bn-b32")]
    records = [trial_directory(folder, entry.trial_id).records() for entry in entries]
    loss = curves.by_setting[entries[0].setting_id][LOSS]
    assert loss.epochs.tolist() == [1, 2, 3]
    for index, epoch in enumerate(zip(*records, strict=True)):
        values = sorted(record[LOSS] for record in epoch)
        assert (loss.low[index], loss.median[index], loss.high[index]) == tuple(values)
    assert curves.by_setting[entries[0].setting_id][TEST].epochs.tolist() == [1, 3]  # It was not tested in epoch 2.
    assert curves.seconds[entries[0].setting_id] == 4.5


def test_settings_that_have_not_started_have_no_curve(tmp_path: Path) -> None:
    folder, sweep = write_sweep(tmp_path)
    curves = read_curves(folder, sweep.trials, [TEST])
    missing = {entry.setting_id for entry in sweep.trials if entry.name.startswith(("on-b32", "gn-b4"))}
    assert curves.by_setting.keys() == {entry.setting_id for entry in sweep.trials} - missing


def test_a_diverged_seed_counts_as_the_worst_from_its_last_epoch_on() -> None:
    curve = median_curve([seed(3, 2, 1), seed(3, math.nan, diverged=True), seed(4, 3, 2)], LOSS)
    assert curve is not None
    assert curve.median.tolist()[:3] == [3, 3, 2]
    assert (curve.low.tolist()[:3], curve.high.tolist()[:3]) == ([3, 2, 1], [4, 3, 2])
    assert curve.diverged.tolist()[:3] == [0, 1, 1]


def test_the_median_diverges_with_the_seed_in_the_middle() -> None:
    lost = seed(3, math.nan, diverged=True)
    curve = median_curve([seed(3, 2, 1), lost, lost], LOSS)
    assert curve is not None
    assert curve.median.tolist()[:3] == [3, math.inf, math.inf]
    accuracy = median_curve([seed(9, math.nan, diverged=True, metric="test/top1_accuracy")], "test/top1_accuracy")
    assert accuracy is not None and accuracy.median.tolist() == [9, -math.inf]


def test_epochs_that_most_seeds_have_not_reached_are_left_out() -> None:
    curve = median_curve([seed(3, 2, 1), seed(3), seed(3)], LOSS)
    assert curve is not None and curve.epochs.tolist() == [1]
    both = median_curve([seed(3, 2), seed(1)], LOSS)
    assert both is not None and both.median.tolist() == [2, 2] and both.seeds.tolist() == [2, 1]


def test_a_record_that_was_cut_off_is_left_out() -> None:
    whole = b'{"epoch": 1, "train/loss": 2.0, "crc32": 5}\n{"epoch": 2, "train/loss": null, "crc32": 5}\n'
    found = read_seed(whole + b'{"epoch": 3, "tr')
    assert found is not None
    assert found.epochs.tolist() == [1, 2] and list(found.values) == [LOSS]
    assert found.values[LOSS][0] == 2 and math.isnan(found.values[LOSS][1])
    assert read_seed(b'{"epoch": 3') is None
    assert read_seed(b"nothing that anyone can read\n") is None


def test_a_damaged_trial_is_left_out(tmp_path: Path) -> None:
    folder, sweep = Folder(tmp_path), manifest()
    sweep.write(folder)
    for entry in sweep.trials[:3]:
        train(folder, entry)
    trial_directory(folder, sweep.trials[0].trial_id).folder.write("records.jsonl", b"garbage\n")
    curve = read_curves(folder, sweep.trials, [LOSS]).by_setting[sweep.trials[0].setting_id][LOSS]
    assert curve.seeds.tolist() == [2, 2, 2]


def test_a_sweep_without_a_whole_epoch_is_said_to_have_none(tmp_path: Path) -> None:
    folder, sweep = Folder(tmp_path), manifest()
    sweep.write(folder)
    with pytest.raises(ReportError, match="has measured any of: train/loss; a curve needs at least one whole epoch"):
        read_curves(folder, sweep.trials, [LOSS])
