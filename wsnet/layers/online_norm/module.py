"""The layers of online normalization, and the autograd function that they call, eager or compiled."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.compiler import is_compiling

from wsnet.layers.online_norm import formulas, kernel
from wsnet.layers.online_norm.state import OnlineState, starting_statistics

__all__ = ["OnlineNorm", "OnlineNorm1d", "OnlineNorm2d"]


class OnlineNorm(OnlineState):
    """What OnlineNorm1d and OnlineNorm2d share; takes (N, C, *).

    Args:
        num_features: C.
        forward_decay: of the running mean and variance, in (0, 1).
        backward_decay: of u and v, likewise.
        eps: added to the variance under the root.
        affine: whether each channel has a learned scale and shift.
        error_compensation: "ls": each sample's output is divided by its root mean square (layer scaling); "ac":
            the output is clamped to [-5, 5] (activation clamping); "none".
        replicates: networks side by side, each with num_features / replicates of the channels and its own layer
            scaling (see `wsnet.layers.stacking`).

    Raises:
        ValueError: an option is out of its range.
    """

    dimensions: ClassVar[tuple[int, ...]] = ()
    """Numbers of dimensions that the input may have; any, if empty."""
    surrogate_gradient: ClassVar[str] = "corrected by running quantities, as the paper defines it (section 3)"
    """Why backward is not the derivative of forward; see `wsnet.layers.check`."""

    def __init__(
        self,
        num_features: int,
        forward_decay: float = 0.999,
        backward_decay: float = 0.99,
        eps: float = 1e-5,
        affine: bool = True,
        error_compensation: str = "ls",
        replicates: int = 1,
    ) -> None:
        super().__init__(num_features)
        self.replicates = replicates
        for name, decay in (("forward_decay", forward_decay), ("backward_decay", backward_decay)):
            if not 0 < decay < 1:
                raise ValueError(f"0 < {name} < 1 must hold, but got {name}={decay}")
        if error_compensation not in ("ls", "ac", "none"):
            raise ValueError(f"error_compensation must be 'ls', 'ac' or 'none', but got {error_compensation!r}")
        self.num_features, self.affine = num_features, affine
        self.forward_decay, self.backward_decay = float(forward_decay), float(backward_decay)
        self.eps, self.error_compensation = eps, error_compensation
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (N, C, *); the layout (contiguous or channels_last) and dtype are kept.

        Raises:
            ValueError: the input has another shape.
            RuntimeError: activation checkpointing repeats this forward without `online_norm_checkpoint`.
        """
        self._check(x)
        if not (x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)):
            x = x.contiguous()
        if not self.training:
            return self._evaluate(x)
        compiling = is_compiling()
        normalize = _traced if compiling else _OnlineNormalize.apply
        mean, variance = (self.running_mean, self.running_var) if compiling else starting_statistics(self)
        out: Tensor = normalize(
            x, self.weight, self.bias, mean, variance, self.u, self.v,
            self.forward_decay, self.backward_decay, self.eps, self.error_compensation, self.replicates,
        )  # fmt: skip
        return out

    def extra_repr(self) -> str:
        """The options that `print(model)` shows."""
        return (
            f"{self.num_features}, forward_decay={self.forward_decay}, backward_decay={self.backward_decay}, "
            f"error_compensation={self.error_compensation!r}, affine={self.affine}"
        )

    def _evaluate(self, x: Tensor) -> Tensor:
        tensors = (x, self.weight, self.bias, self.running_mean, self.running_var)
        wants_gradient = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
        if wants_gradient or is_compiling() or not kernel.has_kernels_for(x, self.weight, self.running_mean):
            return formulas.evaluate(*tensors, self.eps, self.error_compensation, self.replicates)
        options = self.forward_decay, self.eps, self.error_compensation, True
        out: Tensor = kernel.forward_operator(*tensors, *options, replicates=self.replicates)[0]
        return out

    def _check(self, x: Tensor) -> None:
        if self.dimensions and x.dim() not in self.dimensions:
            wanted = " or ".join(f"{dimension}-D" for dimension in self.dimensions)
            raise ValueError(f"{type(self).__name__} takes {wanted} input, but got the shape {tuple(x.shape)}")
        if x.dim() < 2 or x.shape[1] != self.num_features:
            raise ValueError(f"the input must have {self.num_features} channels, but got the shape {tuple(x.shape)}")


class OnlineNorm2d(OnlineNorm):
    """Online normalization of maps (N, C, H, W); see `OnlineNorm`."""

    dimensions = (4,)


class OnlineNorm1d(OnlineNorm):
    """Online normalization of vectors (N, C), or of sequences (N, C, L); see `OnlineNorm`."""

    dimensions = (2, 3)


class _OnlineNormalize(torch.autograd.Function):
    """Updates mean and variance in forward, u and v in backward."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor,
        running_var: Tensor,
        u: Tensor,
        v: Tensor,
        forward_decay: float,
        backward_decay: float,
        eps: float,
        error_compensation: str,
        replicates: int,
    ) -> Tensor:
        # Without kernels the compiler sees the torch operations themselves, and fuses them.
        has_kernels = kernel.has_kernels_for(x, weight, running_mean)
        forward = kernel.forward_operator if has_kernels else formulas.forward
        state = running_mean, running_var
        out, stats, zeta = forward(
            x, weight, bias, *state, forward_decay, eps, error_compensation, replicates=replicates
        )
        ctx.save_for_backward(x, weight, bias, stats, zeta)
        ctx.state, ctx.options = (u, v), (backward_decay, error_compensation, replicates)
        # In-place activations may not overwrite a Function's output that is a view; they may overwrite its `.data`.
        result: Tensor = out.data if type(out) is Tensor else out
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        saved = x, weight, *_ = ctx.saved_tensors  # Recomputed tensors can be taken only once.
        backward = kernel.backward_operator if kernel.has_kernels_for(x, weight, ctx.state[0]) else formulas.backward
        grad_in, *of_parameters = backward(grad, *saved, *ctx.state, *ctx.options)
        # None for parameters that the layer does not have, and for the state and the options.
        return grad_in, *([None, None] if weight is None else of_parameters), *[None] * 9


# The function is wrapped in an operator so that Dynamo sees a single call. Each name and function that Dynamo traces
# through adds guards, which are checked at every call; here they took as long as a small layer's kernels. For the same
# reason this does not use `torch.library.custom_op`, which would be shorter.
torch.library.define(
    "wsnet::online_norm",
    "(Tensor x, Tensor? weight, Tensor? bias, Tensor(a!) running_mean, Tensor(b!) running_var, Tensor(c!) u,"
    " Tensor(d!) v, float forward_decay, float backward_decay, float eps, str error_compensation,"
    " int replicates) -> Tensor",
    tags=(torch.Tag.needs_exact_strides,),
)
torch.library.impl("wsnet::online_norm", "CompositeImplicitAutograd", _OnlineNormalize.apply)
_traced = torch.ops.wsnet.online_norm.default
