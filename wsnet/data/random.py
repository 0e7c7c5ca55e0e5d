"""Counter-based random numbers: the value depends on a key and a counter only, never on what was drawn before.

So augmentation does not depend on the batch split, the workers, the order or the device, and no generator state has to
survive a crash. The generator is SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number
Generators", OOPSLA 2014), which is a hash of key + counter * GAMMA and so needs no state at all.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from wsnet.config.seeding import derive_seed

__all__ = ["Draws", "beta", "epoch_order", "permutations", "random_bits", "random_integers", "uniform"]


class Draws(NamedTuple):
    """The random numbers of some samples in one epoch: functions of (seed, purpose, epoch, sample) alone.

    Attributes:
        seed: the trial's seed.
        epoch: the epoch.
        samples: indices of the samples in the training set, int64 (B,).
    """

    seed: int
    epoch: int
    samples: Tensor

    def key(self, purpose: str) -> int:
        """The key of this epoch's random numbers for a purpose."""
        return derive_seed(self.seed, purpose, self.epoch)

    def uniforms(self, purpose: str, count: int) -> Tensor:
        """`count` numbers for each sample: float64 (B, count) in [0, 1), multiples of 2**-53."""
        counters = self.samples[:, None] * count + torch.arange(count, device=self.samples.device)
        return (random_bits(self.key(purpose), counters) >> 10).to(torch.float64) * 2.0**-53

    def integers(self, purpose: str, high: int) -> Tensor:
        """A number for each sample: int64 (B,) in [0, high); see `random_integers`."""
        return random_integers(self.key(purpose), self.samples, high)

    def at(self, places: Tensor | slice) -> "Draws":
        """The draws of a subset of the samples."""
        return Draws(self.seed, self.epoch, self.samples[places])

    def to(self, device: torch.device) -> "Draws":
        """The same draws on another device; the numbers are the same."""
        return Draws(self.seed, self.epoch, self.samples.to(device))


def _signed(constant: int) -> int:
    """The int64 with the bits of an unsigned 64-bit constant (torch's int64 arithmetic wraps)."""
    return constant - 2**64 if constant >= 2**63 else constant


_GAMMA = _signed(0x9E3779B97F4A7C15)
_MIX_1 = _signed(0xBF58476D1CE4E5B9)
_MIX_2 = _signed(0x94D049BB133111EB)


def _shift_right(z: Tensor, bits: int) -> Tensor:
    """Logical shift right; torch's own shift is arithmetic: it fills a negative int64 with ones."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def random_bits(key: int | Tensor, counters: Tensor) -> Tensor:
    """63 random bits for every counter.

    Args:
        key: names the stream; use `derive_seed(seed, purpose, epoch)`. May also be an int64 tensor.
        counters: int64 of any shape, from 0.

    Returns:
        Non-negative int64 of the same shape and device: the upper 63 bits of the counter-th output of SplitMix64
        seeded with `key`. The same on every device.
    """
    z = (counters + 1) * _GAMMA + key
    z = (z ^ _shift_right(z, 30)) * _MIX_1
    z = (z ^ _shift_right(z, 27)) * _MIX_2
    return _shift_right(z ^ _shift_right(z, 31), 1)


def random_integers(key: int, counters: Tensor, high: int) -> Tensor:
    """Integers in [0, high), equally likely to within high / 2**31; int64, shaped like `counters`.

    Raises:
        ValueError: if `high` is not between 1 and 2**31.
    """
    if not 1 <= high <= 2**31:
        raise ValueError(f"high must be between 1 and 2**31, but got high={high}")
    return ((random_bits(key, counters) >> 32) * high) >> 31


def uniform(key: int | Tensor, counters: Tensor) -> Tensor:
    """Float32 numbers in [0, 1), multiples of 2**-24, shaped like `counters`."""
    return (random_bits(key, counters) >> 39).to(torch.float32) * 2.0**-24


def epoch_order(seed: int, epoch: int, n: int, device: torch.device | str = "cpu") -> Tensor:
    """The order in which an epoch visits n samples: a permutation, int64 (n,), the same on every device."""
    counters = torch.arange(n, device=device)
    return torch.argsort(random_bits(derive_seed(seed, "order", epoch), counters), stable=True)


def beta(alpha: float, shares: Tensor) -> Tensor:
    """Draws from Beta(alpha, alpha): its quantiles at the uniform numbers `shares`; float64, on the CPU."""
    if alpha == 1:
        return shares
    from scipy.special import betaincinv  # Slow to import, and most trials mix nothing.

    return torch.from_numpy(betaincinv(alpha, alpha, shares.numpy()))


def permutations(key: int, *, count: int, n: int) -> Tensor:
    """`count` permutations of 0 to n - 1, int64 (count, n), on the CPU."""
    return torch.argsort(random_bits(key, torch.arange(count * n)).view(count, n), dim=1, stable=True)
