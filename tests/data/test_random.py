"""Counter-based random numbers."""

import numpy as np
import pytest
import torch

from wsnet.data.random import Draws, epoch_order, random_bits, random_integers, uniform

MASK = 2**64 - 1


def splitmix64(seed: int, count: int) -> list[int]:
    """The published generator, with a state and Python's integers."""
    outputs = []
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        outputs.append(z ^ (z >> 31))
    return outputs


def test_the_reference_is_the_published_generator() -> None:
    assert splitmix64(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("key", [0, 1234567, 2**63 - 1])
def test_bits_are_the_outputs_of_splitmix64(key: int) -> None:
    assert random_bits(key, torch.arange(50)).tolist() == [output >> 1 for output in splitmix64(key, 50)]


def test_a_value_depends_on_its_key_and_counter_only() -> None:
    together = random_bits(3, torch.arange(100))
    backwards = torch.cat([random_bits(3, torch.tensor([counter])) for counter in reversed(range(100))])
    assert torch.equal(together, backwards.flip(0))
    assert not torch.equal(together, random_bits(4, torch.arange(100)))


def test_integers_are_equally_likely() -> None:
    counts = torch.bincount(random_integers(7, torch.arange(81_000), 81), minlength=81).double()
    assert len(counts) == 81
    assert ((counts - 1000) ** 2 / 1000).sum() < 132  # chi-squared, 80 degrees of freedom: p = 0.0002


def test_the_largest_range_of_integers_neither_overflows_nor_is_left() -> None:
    values = random_integers(7, torch.arange(10_000), 2**31)
    assert values.min() >= 0 and 2**31 * 0.999 < values.max() < 2**31


@pytest.mark.parametrize("high", [0, 2**31 + 1])
def test_an_impossible_range_is_an_error(high: int) -> None:
    with pytest.raises(ValueError, match=f"high={high}"):
        random_integers(0, torch.arange(3), high)


def test_uniform_numbers_fill_the_unit_interval() -> None:
    values = uniform(5, torch.arange(100_000))
    assert values.dtype == torch.float32 and values.min() >= 0 and values.max() < 1
    assert values.mean().item() == pytest.approx(1 / 2, abs=0.005)
    assert values.var().item() == pytest.approx(1 / 12, abs=0.002)


def test_an_epoch_visits_every_sample_once_in_an_order_of_its_own() -> None:
    first, second = epoch_order(0, 1, 1000), epoch_order(0, 2, 1000)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(1000))
    assert not torch.equal(first, second) and not torch.equal(first, epoch_order(1, 1, 1000))
    assert torch.equal(first, epoch_order(0, 1, 1000))
    assert abs(np.corrcoef(first.numpy(), np.arange(1000))[0, 1]) < 0.1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_draws_the_same_numbers() -> None:
    counters = torch.arange(100_000)
    assert torch.equal(random_bits(9, counters), random_bits(9, counters.cuda()).cpu())
    assert torch.equal(uniform(9, counters), uniform(9, counters.cuda()).cpu())
    assert torch.equal(epoch_order(3, 4, 50_000), epoch_order(3, 4, 50_000, "cuda").cpu())


def test_several_draws_of_a_sample_are_uniform_and_independent() -> None:
    draws = Draws(0, 1, torch.arange(20_000)).uniforms("test", 3)
    assert draws.dtype == torch.float64 and draws.min() >= 0 and draws.max() < 1
    counts = torch.bincount((draws * 10).long().matmul(torch.tensor([100, 10, 1])), minlength=1000)
    assert ((counts - 20) ** 2 / 20).sum() < 1170  # All 1000 combinations of tenths are as likely; p = 0.0001.


def test_draws_depend_on_the_purpose_the_epoch_and_the_sample_only() -> None:
    samples, order = torch.arange(50), torch.randperm(50, generator=torch.Generator().manual_seed(0))
    draws = Draws(0, 1, samples).uniforms("test", 4)
    assert torch.equal(Draws(0, 1, order).uniforms("test", 4), draws[order])
    for seed, purpose, epoch in ((1, "test", 1), (0, "other", 1), (0, "test", 2)):
        assert not (Draws(seed, epoch, samples).uniforms(purpose, 4) == draws).any()
