"""The random mixing of two branches (Gastaldi 2017, arXiv:1705.07485, section 2)."""

from typing import Any, Literal

import torch
from torch import Tensor

from wsnet.layers.randomness import RandomLayer

__all__ = ["ShakeShake"]


class ShakeShake(RandomLayer):
    """alpha a + (1 - alpha) b, whose gradient is that of beta a + (1 - beta) b; in evaluation (a + b) / 2.

    Args:
        forward_mode: alpha is drawn uniformly from [0, 1) (shake) or 1/2 (even).
        backward_mode: beta is drawn apart (shake), is 1/2 (even) or alpha (keep).
        level: alpha and beta for each image, or for the whole batch of a step.
    """

    def __init__(
        self,
        forward_mode: Literal["shake", "even"] = "shake",
        backward_mode: Literal["shake", "even", "keep"] = "shake",
        level: Literal["image", "batch"] = "image",
    ) -> None:
        super().__init__()
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
        """What `print(model)` says of it."""
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
