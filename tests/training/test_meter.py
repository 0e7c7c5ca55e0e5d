"""The meter and `evaluate` against plain computations."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wsnet.data import Batch
from wsnet.training.evaluation import evaluate
from wsnet.training.meter import Measured, Meter

CPU = torch.device("cpu")


def batches(sizes: list[int], classes: int, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Logits and labels of some batches."""
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(size, classes, generator=generator), torch.randint(classes, (size,), generator=generator))
        for size in sizes
    ]


def measured(data: list[tuple[Tensor, Tensor]], read_after: tuple[int, ...] = ()) -> Measured:
    meter = Meter(CPU)
    for index, (logits, labels) in enumerate(data):
        meter.add(F.cross_entropy(logits, labels), logits, labels)
        if index in read_after:
            meter.read()
    return meter.read()


@pytest.mark.parametrize("classes", [2, 4, 5, 10])
def test_the_means_are_those_over_all_samples(classes: int) -> None:
    data = batches([7, 7, 3], classes)
    logits, labels = torch.cat([d[0] for d in data]), torch.cat([d[1] for d in data])
    ranks = (logits > logits.gather(1, labels[:, None])).sum(1)
    found = measured(data)
    assert found.samples == 17
    assert found.loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-6)
    assert found.top1_error == pytest.approx(100 * (ranks >= 1).double().mean().item(), abs=1e-12)
    assert found.top5_error == pytest.approx(100 * (ranks >= 5).double().mean().item(), abs=1e-12)


def test_reading_in_between_changes_no_bit() -> None:
    data = batches([5] * 40 + [3], 10)
    assert measured(data) == measured(data, read_after=(0, 1, 7, 30))


def test_counting_now_and_then_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = batches([5] * 40, 10)
    straight = measured(data)
    monkeypatch.setattr("wsnet.training.meter._HELD", 120)
    assert measured(data) == straight


def test_a_loss_that_is_not_a_number_stays_one() -> None:
    data = batches([4, 4], 10)
    data[1][0][2, 3] = math.nan
    found = measured(data)
    assert math.isnan(found.loss) and 0 <= found.top1_error <= 100


def test_nothing_measured_is_nan() -> None:
    found = Meter(CPU).read()
    assert found.samples == 0 and math.isnan(found.loss) and math.isnan(found.top1_error)


def test_evaluate_measures_in_eval_mode_and_puts_the_mode_back() -> None:
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(8), nn.Linear(8, 3))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    images, labels = torch.randn(10, 2, 2, 2), torch.randint(3, (10,))
    split = [Batch(images[:6], labels[:6], 1.0), Batch(images[6:], labels[6:], 1.0)]
    found = evaluate(model, split, device=CPU)
    assert model.training and all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    logits = model.eval()(images)
    assert found.loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert found.top1_error == pytest.approx(100 * (logits.argmax(1) != labels).double().mean().item())
    evaluate(model, split, device=CPU)
    assert not model.training
