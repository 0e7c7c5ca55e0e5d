"""Layers whose random numbers depend only on (seed, layer, step, image): dropout and shake-shake."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from wsnet.config.seeding import derive_seed
from wsnet.data.random import random_bits, uniform

__all__ = ["Dropout", "LayerRandomness", "RandomLayer", "ShakeShake"]

_OTHER = 0x5555555555555555
"""XORed with a key, gives a second key for the numbers that depend on an element's position in its image."""


class RandomLayer(nn.Module):
    """The base of layers that draw random numbers in training.

    Until a `LayerRandomness` (or `initialize`) sets its step, each forward draws its key from torch's generator.

    Args:
        replicates: networks side by side, each with its own numbers for its own share of the channels (or features).

    Attributes:
        key: int64, selects the layer's numbers of this step; with several replicates one for each, (replicates,). A
            tensor, so that a new value causes no recompilation.
        first: int64, position in the whole batch of the first image that the next forward sees.
    """

    key: Tensor
    first: Tensor

    def __init__(self, replicates: int = 1) -> None:
        super().__init__()
        self.replicates = replicates
        shape = () if replicates == 1 else (replicates,)
        self.register_buffer("key", torch.zeros(shape, dtype=torch.int64), persistent=False)
        self.register_buffer("first", torch.zeros((), dtype=torch.int64), persistent=False)
        self.has_step = False

    def kept_per_element(self, x: Tensor, p: float) -> Tensor:
        """A bool for each element of x, False with probability p; in the shape and memory format of x.

        32 random bits per image and 32 per position in the image are mixed by the middle part of the hash "lowbias32"
        (C. Wellons, hash-prospector). This takes a tenth of the time of drawing 64 bits for each element.
        """
        key = self._key()
        elements = torch.arange(math.prod(x.shape[1:]) // self.replicates, device=x.device)
        places = random_bits((key ^ _OTHER).unsqueeze(-1), elements)
        within = places.to(torch.int32).view(1, *x.shape[1:])
        if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
            within = within.contiguous(memory_format=torch.channels_last)
        z = self._spread(random_bits(key, self._images(x)), x).to(torch.int32) ^ within
        z = z.mul_(0x7FEB352D)
        z = z.bitwise_xor_(z >> 15).mul_(0x846CA68B - 2**32)
        return z >= min(round(p * 2**32), 2**32 - 1) - 2**31

    def uniform_per_image(self, x: Tensor, numbers: int) -> list[Tensor]:
        """A list of `numbers` tensors with a number in [0, 1) for each image of x: N x 1 x ... x 1 each.

        With several replicates they are N x C x 1 x ... x 1, and the C / replicates channels of one have the same.
        """
        key, first = self._key(), self._images(x) * numbers
        return [self._spread(uniform(key, first + number), x) for number in range(numbers)]

    def uniform_per_batch(self, x: Tensor, numbers: int) -> list[Tensor]:
        """A list of `numbers` tensors with one number in [0, 1) for the step's whole batch: 1 x 1 x ... x 1 each.

        With several replicates 1 x C x 1 x ... x 1, as in `uniform_per_image`.
        """
        key, zero = self._key(), torch.zeros((1, 1), dtype=torch.int64, device=x.device)
        return [self._spread(uniform(key, zero + number), x) for number in range(numbers)]

    def _images(self, x: Tensor) -> Tensor:
        """Position of each image in the whole batch: N x 1."""
        return (self.first + torch.arange(x.shape[0], device=x.device)).unsqueeze(-1)

    def _spread(self, numbers: Tensor, x: Tensor) -> Tensor:
        """Numbers of each replicate, N x replicates, in a shape that broadcasts with x, N x C x ..."""
        if self.replicates > 1:
            numbers = numbers.repeat_interleave(x.shape[1] // self.replicates, 1)
        return numbers.view(*numbers.shape, *[1] * (x.dim() - 2))

    def _key(self) -> Tensor:
        return self.key if self.has_step else torch.randint(2**62, self.key.shape, device=self.key.device)


class LayerRandomness:
    """Sets the step of a model's random layers.

    Args:
        model: any model, even one without such layers.
        seed: the trial's seed; of stacked replicates, the seed of each.
    """

    def __init__(self, model: nn.Module, seed: int | Sequence[int]) -> None:
        self.seeds = [seed] if isinstance(seed, int) else list(seed)
        self.layers = [(name, module) for name, module in model.named_modules() if isinstance(module, RandomLayer)]
        for _, layer in self.layers:
            layer.has_step = True

    def set_step(self, step: int, first_image: int = 0) -> None:
        """Make the following forward passes use the random numbers of this step.

        Args:
            step: optimizer steps in the whole training before this one.
            first_image: position in the whole batch of the first image that the next forward sees, if the batch is
                split into micro-batches or over workers.
        """
        for name, layer in self.layers:
            keys = [derive_seed(seed, "layer", name, step) for seed in self.seeds]
            if len(keys) == 1:
                layer.key.fill_(keys[0])  # Without a copy to the device.
            else:
                layer.key.copy_(torch.tensor(keys))
            layer.first.fill_(first_image)


class Dropout(RandomLayer):
    """In training sets each element to zero with probability p, and divides the others by 1 - p.

    What is dropped depends on (seed, layer, step, image, element) only: see `LayerRandomness`.

    Args:
        p: probability, in [0, 1).
        replicates: networks side by side.
    """

    def __init__(self, p: float, *, replicates: int = 1) -> None:
        super().__init__(replicates)
        assert 0 <= p < 1, p
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Images of any shape, N x ..., to the same shape."""
        if not self.training or not self.p:
            return x
        return x * self.kept_per_element(x, self.p) * (1 / (1 - self.p))

    def extra_repr(self) -> str:
        """The options that `print(model)` shows."""
        return f"p={self.p}"


class ShakeShake(RandomLayer):
    """alpha a + (1 - alpha) b, whose gradient is that of beta a + (1 - beta) b; in evaluation (a + b) / 2.

    Args:
        forward_mode: alpha is drawn uniformly from [0, 1) (shake) or 1/2 (even).
        backward_mode: beta is drawn independently (shake), is 1/2 (even) or alpha (keep).
        level: whether alpha and beta are drawn for each image, or once for the whole batch of a step.
        replicates: networks side by side.
    """

    def __init__(
        self,
        forward_mode: Literal["shake", "even"] = "shake",
        backward_mode: Literal["shake", "even", "keep"] = "shake",
        level: Literal["image", "batch"] = "image",
        *,
        replicates: int = 1,
    ) -> None:
        super().__init__(replicates)
        self.forward_mode, self.backward_mode, self.level = forward_mode, backward_mode, level

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Two maps of N x C x H x W to one."""
        if not self.training or self.forward_mode == self.backward_mode == "even":
            return (a + b) / 2
        alpha, beta = self._shares(a.detach())
        mixed: Tensor = _Mix.apply(a, b, alpha, beta)  # type: ignore[no-untyped-call]
        return mixed

    def _shares(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and beta, which broadcast with x."""
        drawn = self.uniform_per_image(x, 2) if self.level == "image" else self.uniform_per_batch(x, 2)
        half = torch.full_like(drawn[0], 0.5)
        alpha = drawn[0] if self.forward_mode == "shake" else half
        beta = {"shake": drawn[1], "even": half, "keep": alpha}[self.backward_mode]
        return alpha.to(x.dtype), beta.to(x.dtype)

    def extra_repr(self) -> str:
        """The options that `print(model)` shows."""
        return f"forward={self.forward_mode}, backward={self.backward_mode}, level={self.level}"


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(a: Tensor, b: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        return torch.lerp(b, a, alpha)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[3])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor, None, None]:
        (beta,) = ctx.saved_tensors
        grad: Tensor = grads[0]
        return grad * beta, grad * (1 - beta), None, None
