"""What norms are evaluated with, recomputed over many images with the weights held still.

Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm" (arXiv:2105.07576, section 3, "precise batch norm"). The running
mean and variance that training leaves are an average over the last steps, and so over weights that have changed since:
with momentum 0.1 over about ten micro-batches. Here they are those of a population of images under one set of weights.

The network is in evaluation mode: dropout and shake-shake are off, as they will be. Each norm normalizes a micro-batch
by that micro-batch's own mean and variance, and in the end gets the mean and variance over all images:

    mean = sum n_i mean_i / sum n_i,     var = sum n_i (var_i + mean_i^2) / sum n_i - mean^2        (biased)

which, unlike an average of the variances, has the variance between micro-batches in it.
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
    """Whether some layer is evaluated with statistics that training leaves in its buffers."""
    return bool(_layers(model))


@contextmanager
def recomputed_statistics(
    model: nn.Module, batches: Iterable[Tensor], forward: Callable[[Tensor], Any] | None = None
) -> Iterator[None]:
    """Lend a model recomputed statistics; afterwards it has its own again, to the bit. See `recompute_statistics`."""
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
    """Set the running statistics of all norms to those of the images, under the weights as they are.

    Concerns every layer with buffers `running_mean` and `running_var` (or, as batch renormalization, `running_std`) of
    C values, one of your own too. With a process group, the images of all workers count; every worker has to call it.

    Args:
        model: maps (B, C, H, W); its mode is put back.
        batches: micro-batches, (B, C, H, W) each. At least one over all workers together.
        forward: the model as it is to be called; None: as it is.
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
    """Adds up the moments of what goes into one norm, channel by channel."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer
        channels = layer.get_buffer("running_mean")
        self.sums = torch.zeros(3, len(channels), dtype=torch.float64, device=channels.device)  # n, n mean, n mean sq.
        self.hook = layer.register_forward_pre_hook(self.see)

    def see(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Count a micro-batch, and have the layer normalize it by its own statistics."""
        x: Tensor = inputs[0]
        # The only reduction over channels that is fast on CPUs too, in both layouts; the variance is the biased one.
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        mean, var = torch.batch_norm_update_stats(wide, None, None, 0.0)
        n = x.numel() // x.shape[1]
        exact = mean.double()
        self.sums += n * torch.stack([torch.ones_like(exact), exact, var.double() + exact.square()])
        _set(layer, mean, var)

    def finish(self) -> None:
        """Give the layer the moments over all micro-batches of all workers; a layer that was not used keeps its own."""
        n, mean, square = sum_over_workers(self.sums)
        if n[0] > 0:
            mean, square = mean / n, square / n
            _set(self.layer, mean, (square - mean.square()).clamp_min(0))


def _set(layer: nn.Module, mean: Tensor, var: Tensor) -> None:
    found = _buffers(layer)
    found["running_mean"].copy_(mean)
    if "running_var" in found:
        found["running_var"].copy_(var)
    else:  # Batch renormalization's, which has eps in it.
        found["running_std"].copy_((var + layer.eps).sqrt())  # type: ignore[operator]


def _layers(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if len(_buffers(module)) >= 2]


def _buffers(layer: nn.Module) -> dict[str, Tensor]:
    own = dict(layer.named_buffers(recurse=False))
    return {name: own[name] for name in _STATISTICS if name in own and own[name].dim() == 1}
