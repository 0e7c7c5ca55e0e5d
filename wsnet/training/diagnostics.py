"""Diagnostics of the layers (`train.diagnostics`), measured in one optimizer step of each epoch without changing it.

Keys of a record are `layers/<layer>/<quantity>`. All quantities describe one whole optimizer step (all micro-batches
and workers), with the weights and running statistics at its start. For each norm (with norm `none`, for the input that
a norm would get), in training mode, with channels c and mean and biased variance over images and positions:

    activation_mean          sqrt(mean_c mean_c^2)      of the input: with its variance, what the norm has to remove
    activation_variance      mean_c var_c               (Bjorck et al. 2018, arXiv:1806.02375, section 3)
    output_mean              the same two               of the output, which is what the next layers see: batch norm
    output_variance                                     fixes both by bias^2 and weight^2, other norms do not
    running_mean_drift       mean_c |running mean_c - mean_c| / std_c               std_c^2 = var_c + 1e-5; how far
    running_variance_drift   mean_c |running var_c - var_c| / (var_c + 1e-5)        evaluation is from training

The sum activation_mean^2 + activation_variance is the mean square of the activations. Norms without running statistics
have no drift, and norm `none` has no output of its own. For each convolution and linear layer:

    gradient_norm            ||dL/dw||, Euclidean, of its parameter `weight`; without weight decay
    effective_lr             lr / mean_f ||w_f||^2 with SGD, over the output filters f; lr / sqrt(mean_f ||w_f||^2) with
                             Adam, whose steps do not grow with the gradient

Where the scale of a filter has no effect, because a norm or a reparametrization follows, the effective learning rate
determines how far a step rotates the filter (van Laarhoven 2017, arXiv:1706.05350; Hoffer et al. 2018,
arXiv:1803.01814). Elsewhere, as in the classifier, it only measures the size of the weights.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wsnet.distributed import rank_and_world, sum_over_workers
from wsnet.layers import norms_of
from wsnet.storage.trial_directory import LAYERS, Record
from wsnet.training.lars import LARS

__all__ = ["Diagnostics"]

_EPS = 1e-5
"""Keeps drift finite where a channel is constant."""

Forward = Callable[[Tensor], Tensor]
Array = np.ndarray[Any, np.dtype[np.float64]]


class Diagnostics:
    """Measures a model inside `measuring`; outside it the model has no hooks.

    Everything stays on the device until `read`. Hooks would force a compiled model to be recompiled: for one, `around`
    first runs the same forward pass eagerly, without gradients, and restores the buffers.

    Args:
        model: the plain model, not compiled and not distributed.
        optimizer: the optimizer of its parameters.
        compiled: whether the step runs a compiled model.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, *, compiled: bool = False) -> None:
        self._model, self._optimizer, self._compiled = model, optimizer, compiled
        self._norms = norms_of(model)
        self._weighted = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
        self._device = next(model.parameters()).device
        self._measuring = False
        self._moments: dict[str, Tensor] = {}
        self._running: dict[str, Tensor] = {}
        self._weights: Tensor | None = None
        self._lrs: list[float] = []

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Measure the optimizer step inside, however many forward and backward passes it makes."""
        self._moments, self._weights = {}, None
        self._running = {name: _running_statistics(norm, self._device) for name, norm in self._norms.items()}
        with ExitStack() as stack:
            if not self._compiled:
                stack.enter_context(self._hooks())
            self._measuring = True
            try:
                yield
            finally:
                self._measuring = False

    def around(self, forward: Forward) -> Forward:
        """A compiled model's forward pass, preceded by an eager one while measuring; any other is returned as it is."""
        if not self._compiled:
            return forward

        def measured(images: Tensor) -> Tensor:
            if self._measuring:
                self._look(images)
            return forward(images)

        return measured

    def read(self) -> Record:
        """What was measured, as entries of a record; waits for the device. Every worker must call it."""
        if self._weights is None:  # The epoch ended before the step to measure: a loss was not finite.
            return {}
        world = rank_and_world()[1]
        parts = [*self._moments.values(), *(value / world for value in (*self._running.values(), self._weights))]
        packed = torch.cat(parts)
        sum_over_workers(packed)
        *values, weights = np.split(packed.cpu().numpy(), np.cumsum([len(part) for part in parts])[:-1])
        moments = dict(zip(self._moments, values, strict=False))
        running = dict(zip(self._running, values[len(moments) :], strict=True))
        record: Record = {}
        with np.errstate(all="ignore"):  # Values that are not finite belong in the record: they show a divergence.
            for name in self._norms:
                record |= _named(name, _of_norm(moments[f"{name}/in"], moments.get(f"{name}/out"), running[name]))
            power = 1.0 if isinstance(self._optimizer, torch.optim.SGD) else 0.5
            is_lars = isinstance(self._optimizer, LARS)  # Its steps are already relative to the weights' norm.
            for name, lr, gradient, square in zip(self._weighted, self._lrs, *np.split(weights, 2), strict=True):
                effective = {} if is_lars else {"effective_lr": lr / square**power}
                record |= _named(name, {"gradient_norm": gradient, **effective})
        self._weights = None
        return record

    @contextmanager
    def _hooks(self) -> Iterator[None]:
        """Hook every norm, to add its input and its output to the moments."""

        def hook(name: str) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
            def observe(norm: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
                self._add(f"{name}/in", inputs[0])
                if not isinstance(norm, nn.Identity):
                    self._add(f"{name}/out", output)

            return observe

        handles = [norm.register_forward_hook(hook(name)) for name, norm in self._norms.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @torch.no_grad()
    def _add(self, key: str, x: Tensor) -> None:
        """Add the moments of N x C x ... to those of the step: count, sums (C), sums of squares (C)."""
        wide = x.detach().to(torch.promote_types(x.dtype, torch.float32))
        count, others = x.numel() // x.shape[1], [0, *range(2, x.dim())]
        # In two passes, to avoid cancellation. torch.var_mean takes 30 times as long (128x16x32x32, one CPU thread).
        mean = wide.sum(others, keepdim=True) / count
        squares = (wide - mean).square_().sum(others).double()
        mean = mean.flatten().double()
        sums = torch.cat([mean.new_full((1,), count), count * mean, squares + count * mean.square()])
        self._moments[key] = self._moments[key] + sums if key in self._moments else sums

    @torch.no_grad()
    def _look(self, images: Tensor) -> None:
        """Run the model eagerly for its activations, and restore its buffers, the only state that this changes."""
        state = [buffer.clone() for buffer in self._model.buffers()]
        try:
            with self._hooks():
                self._model(images)
        finally:
            for buffer, value in zip(self._model.buffers(), state, strict=True):
                buffer.copy_(value)

    @torch.no_grad()
    def look_at_gradients(self) -> None:
        """Measure the gradients if this step is measured; call it once they are complete, before clipping."""
        if not self._measuring:
            return
        optimizer = self._optimizer
        lrs = {parameter: group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
        weights = [module.weight for module in self._weighted.values()]
        nothing = weights[0].new_zeros(())
        gradients = [nothing if w.grad is None else torch.linalg.vector_norm(w.grad) for w in weights]
        squares = [w.detach().square().sum() / len(w) for w in weights]
        self._lrs = [float(lrs[w]) for w in weights]
        self._weights = torch.stack([*gradients, *squares]).double()


def _running_statistics(norm: nn.Module, device: torch.device) -> Tensor:
    """A copy of the running means and variances, (2C,); empty if there are none."""
    mean, var, std = (getattr(norm, f"running_{name}", None) for name in ("mean", "var", "std"))
    if std is not None:
        var = std.square()
    if mean is None or var is None:
        return torch.zeros(0, dtype=torch.float64, device=device)
    return torch.cat([mean, var]).detach().double()


def _of_norm(inputs: Array, outputs: Array | None, running: Array) -> dict[str, float]:
    """The quantities of one norm, from its moments and running statistics."""
    mean, var = _mean_and_variance(inputs)
    found = {"activation_mean": _root_mean_square(mean), "activation_variance": var.mean()}
    if outputs is not None:
        mean_out, var_out = _mean_and_variance(outputs)
        found |= {"output_mean": _root_mean_square(mean_out), "output_variance": var_out.mean()}
    if len(running):
        running_mean, running_var = np.split(running, 2)
        found["running_mean_drift"] = (np.abs(running_mean - mean) / np.sqrt(var + _EPS)).mean()
        found["running_variance_drift"] = (np.abs(running_var - var) / (var + _EPS)).mean()
    return found


def _mean_and_variance(moments: Array) -> tuple[Array, Array]:
    mean, square = np.split(moments[1:] / moments[0], 2)
    return mean, np.maximum(square - mean * mean, 0)


def _root_mean_square(values: Array) -> Any:
    return np.sqrt(np.square(values).mean())


def _named(layer: str, quantities: dict[str, Any]) -> Record:
    # Six digits: a record has hundreds of these.
    return {f"{LAYERS}{layer}/{name}": float(f"{value:.6g}") for name, value in quantities.items()}
