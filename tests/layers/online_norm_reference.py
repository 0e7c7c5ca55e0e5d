"""Online normalization as the paper has it: one sample after the other, in float64 (Chiley et al. 2019)."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

__all__ = ["Sequential", "error", "tensors"]


@dataclass
class Sequential:
    """The state, and a forward and backward over the samples (N, C, D)."""

    weight: Tensor
    bias: Tensor
    forward_decay: float = 0.999
    backward_decay: float = 0.99
    compensation: str = "ls"
    eps: float = 1e-5
    state: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.weight, self.bias = self.weight.double(), self.bias.double()
        zero = torch.zeros_like(self.weight)
        self.state = {"running_mean": zero, "running_var": zero + 1, "u": zero, "v": zero}

    def step(self, x: Tensor, grad: Tensor) -> dict[str, Tensor]:
        """Output, gradients; moves the state."""
        shape, (x, grad) = (
            x.shape,
            (t.double().flatten(2) if t.dim() > 2 else t.double()[:, :, None] for t in (x, grad)),
        )
        saved: list[tuple[Tensor, ...]] = []
        for sample in x:
            saved.append(self._forward(sample))
        grads, grad_weight, grad_bias = [], torch.zeros_like(self.weight), torch.zeros_like(self.bias)
        for g, (out, y, s, zeta) in zip(grad, saved, strict=True):
            dx, dz = self._backward(g, out, y, s, zeta)
            grads.append(dx)
            grad_weight = grad_weight + (dz * y).sum(1)
            grad_bias = grad_bias + dz.sum(1)
        out = torch.stack([sample[0] for sample in saved])
        if self.compensation == "ac":
            out = out.clamp(-5, 5)
        grad_in = torch.stack(grads).view(shape)
        return {"out": out.view(shape), "grad_in": grad_in, "grad_weight": grad_weight, "grad_bias": grad_bias}

    def _forward(self, x: Tensor) -> tuple[Tensor, ...]:
        a, m, var = self.forward_decay, self.state["running_mean"], self.state["running_var"]
        s = (var + self.eps).sqrt()
        y = (x - m[:, None]) / s[:, None]
        z = self.weight[:, None] * y + self.bias[:, None]
        zeta = (z.square().mean() + 1e-5).sqrt() if self.compensation == "ls" else torch.ones_like(z[0, 0])
        d = x.mean(1) - m
        self.state["running_var"] = a * var + (1 - a) * x.var(1, correction=0) + a * (1 - a) * d.square()
        self.state["running_mean"] = m + (1 - a) * d
        return z / zeta, y, s, zeta

    def _backward(self, g: Tensor, out: Tensor, y: Tensor, s: Tensor, zeta: Tensor) -> tuple[Tensor, Tensor]:
        b, u, v = self.backward_decay, self.state["u"], self.state["v"]
        if self.compensation == "ac":
            g = torch.where(out.abs() >= 5, 0, g)
        dz = (g - (g * out).mean() * out) / zeta if self.compensation == "ls" else g
        dy = self.weight[:, None] * dz
        h = (dy - (1 - b) * v[:, None] * y) / s[:, None]
        self.state["v"] = v + (dy * y).mean(1) - (1 - b) * v * y.square().mean(1)
        self.state["u"] = b * u + h.mean(1)
        return h - (1 - b) * u[:, None], dz


def tensors(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """An input whose channels differ in mean and deviation, and a gradient."""
    generator = torch.Generator().manual_seed(seed)
    per_channel = (1, shape[1], *[1] * (len(shape) - 2))
    mean = torch.randn(per_channel, generator=generator)
    x = torch.randn(shape, generator=generator) * torch.rand(per_channel, generator=generator).add(0.5) + mean
    return x.to(dtype), torch.randn(shape, generator=generator).to(dtype)


def error(found: Any, wanted: Any) -> float:
    """Largest difference over the largest value."""
    found, wanted = (torch.as_tensor(values).detach().double() for values in (found, wanted))
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-30))
