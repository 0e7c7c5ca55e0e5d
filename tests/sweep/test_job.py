"""What a trial tells Tune."""

from wsnet.sweep.trainable import _for_tune


def test_tune_is_told_neither_of_the_test_set_nor_of_the_layers() -> None:
    record = {"epoch": 2.0, "train/loss": 0.5, "test/loss": 0.6, "layers/bn1/output_mean": 0.1}
    assert _for_tune("id", record) == {"trial": "id", "epoch": 2, "train/loss": 0.5}
