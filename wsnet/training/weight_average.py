"""`train.ema`: an exponential moving average of the weights, evaluated alongside them.

The update is torch's, `torch.optim.swa_utils.get_ema_multi_avg_fn`. Its `AveragedModel` is not used: it starts from the
weights after the first step, not from the initial ones; it copies every buffer in every step; and it is a second model,
whereas here the average is swapped into the one model for each evaluation.

Running statistics are not averaged: the average of many weights' statistics is not the statistics of the averaged
weights (activations vary more with noisy weights than with averaged ones). They are recomputed for each evaluation, as
torch's `update_bn` does (Izmailov et al. 2018, section 3.2); see `wsnet.training.evaluation`.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from wsnet.config.trial import EMAConfig

__all__ = ["WeightAverage"]


class WeightAverage:
    """The average of a model's parameters, starting from their current values.

    Workers need not synchronize it: their weights are equal.

    Args:
        model: the model in training.
        config: decay and warm-up of the average.
    """

    def __init__(self, model: nn.Module, config: EMAConfig) -> None:
        self._model, self._config = model, config
        self._average = [parameter.detach().clone() for parameter in model.parameters()]

    def update(self, step: int) -> None:
        """Update with the weights after optimizer step `step`, counted from 0 over the whole training."""
        decay = self._config.decay
        if self._config.warmup:
            decay = min(decay, (1 + step) / (10 + step))
        get_ema_multi_avg_fn(decay)(self._average, list(self._model.parameters()), step)

    @contextlib.contextmanager
    def in_model(self) -> Iterator[None]:
        """Swap the average into the model, for an evaluation."""
        kept = [parameter.detach().clone() for parameter in self._model.parameters()]
        self._put(self._average)
        try:
            yield
        finally:
            self._put(kept)

    def state_dict(self) -> dict[str, Tensor]:
        """The average, by the parameters' names."""
        named = self._model.named_parameters()
        return {name: average for (name, _), average in zip(named, self._average, strict=True)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load another instance's average."""
        for name, average in self.state_dict().items():
            average.copy_(state[name])

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self._model.parameters(), values, strict=True):
            parameter.copy_(value)
