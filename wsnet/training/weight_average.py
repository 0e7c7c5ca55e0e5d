"""`train.ema`: an exponential moving average of the weights, as torch.optim.swa_utils has it (ema with buffers copied).

Running statistics are not averaged along: an average of the statistics that many sets of weights had is not what the
averaged weights have (noise in the weights makes activations vary more than their average does). They are recomputed
for each evaluation, as torch's `update_bn` does (Izmailov et al. 2018, section 3.2): `EvaluationStatistics`.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from wsnet.config.trial import EMAConfig

__all__ = ["WeightAverage"]


class WeightAverage:
    """The average of a model's parameters; begins as they are. Workers need not talk: their weights are equal.

    Args:
        model: the model in training.
        config: how fast the average forgets.
        start: the average of a checkpoint; empty begins anew.
    """

    def __init__(self, model: nn.Module, config: EMAConfig, start: dict[str, Tensor]) -> None:
        self._model, self._config = model, config
        self._average = [parameter.detach().clone() for parameter in model.parameters()]
        if start:
            for (name, _), average in zip(model.named_parameters(), self._average, strict=True):
                average.copy_(start[name])

    @classmethod
    def of(cls, model: nn.Module, average: dict[str, Tensor]) -> "WeightAverage":
        """A checkpoint's average, to be evaluated."""
        return cls(model, EMAConfig(decay=0.0), average)

    @property
    def state(self) -> dict[str, Tensor]:
        """The average, by the parameters' names."""
        named = self._model.named_parameters()
        return {name: average for (name, _), average in zip(named, self._average, strict=True)}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimizer step `step`, counted from 0 over the whole training."""
        decay = self._config.decay
        if self._config.warmup:
            decay = min(decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._average, list(self._model.parameters()), 1 - decay)

    @contextlib.contextmanager
    def in_model(self) -> Iterator[None]:
        """Lend the average to the model, for an evaluation."""
        kept = [parameter.detach().clone() for parameter in self._model.parameters()]
        self._put(self._average)
        try:
            yield
        finally:
            self._put(kept)

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self._model.parameters(), values, strict=True):
            parameter.copy_(value)
