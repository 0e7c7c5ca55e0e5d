"""Reparametrized filters: weight standardization (Qiao et al. 2019), weight normalization (Salimans & Kingma 2016)."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from wsnet.distributed import moments
from wsnet.layers.convolution import Conv2d

__all__ = [
    "NormalizedConv2d",
    "ReparametrizedConv2d",
    "StandardizedConv2d",
    "initialize_from_data",
    "normalize",
    "once_per_step",
    "standardize",
]


_EPS = 1e-5
"""Added to the standard deviation, outside the root, as in the authors' code."""


class ReparametrizedConv2d(Conv2d, ABC):
    """A convolution whose filters are a function of its parameters.

    Attributes:
        held: filters to use instead of computing them; set by `once_per_step`.
    """

    held: Tensor | None = None

    @abstractmethod
    def filters(self) -> Tensor:
        """The filters, out x in/groups x kH x kW, from the parameters."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve N x C x H x W."""
        out: Tensor = self._conv_forward(input, self.filters() if self.held is None else self.held, self.bias)
        return out


class StandardizedConv2d(ReparametrizedConv2d):
    """A convolution whose filters are standardized before use, in training and in evaluation.

    The parameter `weight` is the raw one; there are no further parameters.

    Raises:
        ValueError: each filter has a single element (in_channels / groups * kernel size), so no standard deviation.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.weight[0].numel() == 1:
            raise ValueError(
                "a standardized filter must have more than one element (in_channels / groups * kernel height * kernel "
                f"width), but got in_channels={self.in_channels}, groups={self.groups}, kernel_size={self.kernel_size}"
            )

    def filters(self) -> Tensor:
        """The standardized filters."""
        return standardize(self.weight)


def standardize(weight: Tensor) -> Tensor:
    """Standardize each output filter over its (in / groups, kernel height, kernel width).

        w_hat = (w - mean) / (std + 1e-5)        (unbiased std)

    Args:
        weight: out x in/groups x kH x kW, contiguous or channels_last.

    Returns:
        The standardized filters, in the same shape and memory format.
    """
    if weight.is_contiguous():
        rows: Tensor = _Standardize.apply(weight.flatten(1))
        return rows.view_as(weight)
    # channels_last: flatten in the order in which the numbers lie in memory, so that nothing is copied.
    ohwi = weight.permute(0, 2, 3, 1)
    rows = _Standardize.apply(ohwi.flatten(1))
    return rows.view_as(ohwi).permute(0, 3, 1, 2)


class _Standardize(torch.autograd.Function):
    """The rows of a matrix F x n, standardized.

    Differentiated by hand, because autograd through `std_mean` makes many passes over the weights. This is 2 to 6 times
    as fast from 64x64x3x3 up (one CPU thread, forward and backward; 512x512x3x3: 4.3 ms against 26 ms), and no slower
    below.

    With c = w - mean, k = 1 / (std + eps), y = k c and g = dL/dy, the gradient is

        dL/dw = k (g - mean(g)) - y sum(g y) / ((n - 1) std)
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:  # F x n to F x n
        n = weight.shape[1]
        # torch's fused kernel gives c / biased std. The tiny eps keeps constant filters finite: they become zero.
        y, _, reciprocal = torch.native_layer_norm(weight, (n,), None, None, 1e-30)
        biased_std = reciprocal.reciprocal()
        std = biased_std * (n / (n - 1)) ** 0.5
        k = (std + _EPS).reciprocal()
        y.mul_(biased_std * k)
        ctx.save_for_backward(y, std, k)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        y, std, k = ctx.saved_tensors
        n = y.shape[1]
        radial = torch.linalg.vecdot(g, y).unsqueeze(1) / ((n - 1) * std)
        grad: Tensor = torch.addcmul(-k * g.mean(1, keepdim=True), g, k)
        return grad.addcmul_(y, radial, value=-1)


class NormalizedConv2d(ReparametrizedConv2d):
    """A convolution whose filters are g v / ||v||, one gain g and direction v for each.

    The direction is the parameter `weight`, with the same name, shape and initial value as in a plain convolution, and
    the gain starts at its norm. So a network starts equal to the plain one of the same seed.

    Attributes:
        weight: the directions v, out x in/groups x kH x kW.
        g: the gains, out.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.g = nn.Parameter(torch.empty(self.out_channels, device=self.weight.device, dtype=self.weight.dtype))
        self.reset_gain()

    @torch.no_grad()
    def reset_gain(self) -> None:
        """Set g to ||v||."""
        self.g.copy_(filter_norms(self.weight))

    def filters(self) -> Tensor:
        """The normalized filters."""
        return normalize(self.weight, self.g)


def normalize(v: Tensor, g: Tensor) -> Tensor:
    """g v / ||v|| for each output filter (equation 2).

    Args:
        v: out x in/groups x kH x kW.
        g: out.

    Returns:
        The filters, in the shape and memory format of v.
    """
    return v * (g / filter_norms(v))[:, None, None, None]


def filter_norms(v: Tensor) -> Tensor:
    """||v|| of each output filter."""
    norms: Tensor = torch.linalg.vector_norm(v, dim=(1, 2, 3))
    return norms


@torch.no_grad()
def initialize_from_data(model: nn.Module, images: Tensor) -> None:
    """Set gain and bias of each normalized convolution from a batch (section 3, equations 5 and 6), in place.

    With m and s the mean and standard deviation of a channel's output over the batch, g becomes g / s and the bias
    -m / s, so that the output has mean 0 and variance 1. This is done in the order of the forward pass: a convolution's
    input comes from convolutions that are initialized already. Where several workers share the batch, the statistics
    are those of the whole batch. A gain of zero (`residual_init`) stays zero.

    Args:
        model: a model, just initialized; its normalized convolutions have a bias.
        images: the first batch, N x channels x H x W.
    """

    def standardize_output(conv: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        assert isinstance(conv, NormalizedConv2d) and conv.bias is not None
        _, mean, var = moments(output)
        std = var.sqrt()
        # A constant output has no scale to set.
        scale = torch.where(std > 0, std.reciprocal(), 1)
        conv.g.mul_(scale)
        conv.bias.sub_(mean).mul_(scale)
        return (output - mean[:, None, None]) * scale[:, None, None]

    hooks = [m.register_forward_hook(standardize_output) for m in model.modules() if isinstance(m, NormalizedConv2d)]
    try:
        model(images)
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def once_per_step(model: nn.Module) -> Iterator[None]:
    """Compute reparametrized filters once for all forward and backward passes inside the `with` block.

        with once_per_step(model):
            for images, labels in micro_batches:
                loss(model(images), labels).backward()
        optimizer.step()

    Inside, the filters are leaves that accumulate gradients; at the end, one backward pass propagates these to the
    parameters. The result equals that of separate passes up to rounding, since the gradient of a sum is the sum of
    gradients. `weight.grad` is complete only after the block: clip gradients and step the optimizer there. Parameters
    must not change inside. DistributedDataParallel must not wrap the model: it would look for gradients too early.

    Args:
        model: any model; convolutions with plain weights are left alone.
    """
    convs = [module for module in model.modules() if isinstance(module, ReparametrizedConv2d)]
    computed = [conv.filters() for conv in convs]
    held = [filters.detach().requires_grad_(filters.requires_grad) for filters in computed]
    for conv, leaf in zip(convs, held, strict=True):
        assert conv.held is None, "once_per_step cannot be nested"
        conv.held = leaf
    try:
        yield
    finally:
        for conv in convs:
            conv.held = None
    used = [index for index, leaf in enumerate(held) if leaf.grad is not None]
    if used:
        torch.autograd.backward([computed[index] for index in used], [held[index].grad for index in used])
