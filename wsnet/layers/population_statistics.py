"""Running statistics of norms, recomputed over many images with fixed weights.

Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm" (arXiv:2105.07576, section 3, "precise batch norm"). The running
mean and variance from training are averages over the last steps (about ten micro-batches with momentum 0.1), during
which the weights changed. Here they are computed over a population of images with one set of weights.

The network is in evaluation mode: dropout and shake-shake are off, as in the evaluation that follows. Each norm
normalizes a micro-batch by that micro-batch's own mean and variance, and finally gets the statistics of all images:

    mean = sum n_i mean_i / sum n_i,     var = sum n_i (var_i + mean_i^2) / sum n_i - mean^2        (biased)

which, unlike an average of the variances, include the variance between micro-batches.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from wsnet.distributed import sum_over_workers

__all__ = ["has_running_statistics", "recompute_statistics", "recomputed_statistics"]

_STATISTICS = ("running_mean", "running_var", "running_std")


def has_running_statistics(model: nn.Module) -> bool:
    """Whether any layer's evaluation uses running statistics from training."""
    return bool(_layers(model))


@contextmanager
def recomputed_statistics(
    model: nn.Module, batches: Iterable[Tensor], forward: Callable[[Tensor], Any] | None = None
) -> Iterator[None]:
    """Recompute a model's statistics for the duration of the context; then restore its own, bit for bit."""
    kept = [(buffer, buffer.clone()) for layer in _layers(model) for buffer in _buffers(layer).values()]
    try:
        recompute_statistics(model, batches, forward)
        yield
    finally:
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)


@torch.no_grad()
def recompute_statistics(
    model: nn.Module, batches: Iterable[Tensor], forward: Callable[[Tensor], Any] | None = None
) -> None:
    """Set the running statistics of all norms to those of the images, with the current weights.

    This includes every layer, also a user-defined one, with buffers `running_mean` and `running_var` (or `running_std`,
    as in batch renormalization) of C values. With a process group the images of all workers count, and every worker
    has to call this function.

    Args:
        model: takes (B, C, H, W); its training or evaluation mode is restored.
        batches: micro-batches, (B, C, H, W) each; at least one over all workers together.
        forward: what to call with each micro-batch in place of the model; None calls the model itself.
    """
    layers = _layers(model)
    training = {module: module.training for module in model.modules()}
    with ExitStack() as hooks:
        moments = [_Moments(layer) for layer in layers]
        for of_layer in moments:
            hooks.callback(of_layer.hook.remove)
        model.eval()
        try:
            for images in batches:
                (forward or model)(images)
        finally:
            for module, mode in training.items():
                module.training = mode
    for of_layer in moments:
        of_layer.finish()


class _Moments:
    """Accumulates the moments of one norm's input, per channel."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer
        channels = layer.get_buffer("running_mean")
        self.sums = torch.zeros(3, len(channels), dtype=torch.float64, device=channels.device)  # n, n mean, n mean sq.
        self.hook = layer.register_forward_pre_hook(self.see)

    def see(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Add a micro-batch, and have the layer normalize it by the micro-batch's own statistics."""
        x: Tensor = inputs[0]
        # The only per-channel reduction that is fast on CPUs too, in both layouts; its variance is biased.
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        mean, var = torch.batch_norm_update_stats(wide, None, None, 0.0)
        n = x.numel() // x.shape[1]
        exact = mean.double()
        self.sums += n * torch.stack([torch.ones_like(exact), exact, var.double() + exact.square()])
        _set(layer, mean, var)

    def finish(self) -> None:
        """Set the layer's statistics from all micro-batches of all workers; a layer that was not used keeps its own."""
        n, mean, square = sum_over_workers(self.sums)
        if n[0] > 0:
            mean, square = mean / n, square / n
            _set(self.layer, mean, (square - mean.square()).clamp_min(0))


def _set(layer: nn.Module, mean: Tensor, var: Tensor) -> None:
    found = _buffers(layer)
    found["running_mean"].copy_(mean)
    if "running_var" in found:
        found["running_var"].copy_(var)
    else:  # Batch renormalization, whose running_std includes eps.
        found["running_std"].copy_((var + layer.eps).sqrt())  # type: ignore[operator]


def _layers(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if len(_buffers(module)) >= 2]


def _buffers(layer: nn.Module) -> dict[str, Tensor]:
    own = dict(layer.named_buffers(recurse=False))
    return {name: own[name] for name in _STATISTICS if name in own and own[name].dim() == 1}
