"""Online normalization (Chiley et al. 2019, arXiv 1905.05894): running statistics in both directions, any batch size.

Each sample is normalized by the running mean and variance of the samples before it; the gradient is made orthogonal to
the constant and to the output by two more running quantities, u and v. Forward and backward are each a loop over the
samples in order, computed without one (`online_norm_maths`).

What follows from that:

* Order matters. Micro-batches run forward, backward, forward, backward equal one large batch exactly; all forwards
  before all backwards do not.
* u and v carry the scale of the gradients. Where the loss is divided by k (micro-batches) they are k times smaller,
  and where that scale changes between steps `rescale_gradient_state` has to follow.
* A backward whose gradients are not finite leaves u and v as they were, a forward likewise mean and variance. A step
  that is skipped for a reason from elsewhere: `online_norm_state.snapshot` and `restore`.
* Every worker has its own stream: DistributedDataParallel(..., broadcast_buffers=False), and
  `online_norm_state.merge_over_workers` for evaluation and saving.
* Activation checkpointing needs `online_norm_checkpoint`.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.compiler import is_compiling

from wsnet.layers.online_norm_checkpoint import current_tape, refuse_unknown_recomputation
from wsnet.layers.online_norm_maths import OnlineNormOptions
from wsnet.layers.online_norm_ops import online_norm_operator
from wsnet.layers.online_norm_step import evaluated, online_normalize

__all__ = ["OnlineNorm", "OnlineNorm1d", "OnlineNorm2d"]

STATE = ("running_mean", "running_var", "u", "v")


class OnlineNorm(nn.Module):
    """What OnlineNorm1d and OnlineNorm2d share; takes (N, C, *).

    Args:
        num_features: C.
        forward_decay: of the running mean and variance, in (0, 1): a number, or one per channel (C,) where
            models are stacked.
        backward_decay: of u and v, likewise.
        eps: added to the variance under the root.
        affine: whether each channel has a learned scale and shift.
        error_compensation: "ls": each sample's output is divided by its root mean square (layer scaling); "ac":
            the output is clamped (activation clamping); "none".
        layer_scale_eps: added to the mean square under layer scaling's root.
        clamp: where "ac" clamps, in both directions.
        group_size: channels that share their layer scaling: those of one model where several are stacked. None: all.

    Attributes:
        running_mean, running_var, u, v: the state (C,), float32 or better whatever the module is cast to. Moved in
            training mode only: the first two by forward, the others by backward.

    Raises:
        ValueError: an option that can not be.
    """

    dimensions: ClassVar[tuple[int, ...]] = ()
    """Numbers of dimensions that the input may have; any, if empty."""
    surrogate_gradient: ClassVar[str] = "running quantities correct it, as its paper defines it (section 3)"
    """Why backward is not the derivative of forward; see `wsnet.layers.check`."""
    forward_decay: float | Tensor
    backward_decay: float | Tensor
    running_mean: Tensor
    running_var: Tensor
    u: Tensor
    v: Tensor

    def __init__(
        self,
        num_features: int,
        forward_decay: float | Tensor = 0.999,
        backward_decay: float | Tensor = 0.99,
        eps: float = 1e-5,
        affine: bool = True,
        error_compensation: str = "ls",
        layer_scale_eps: float = 1e-5,
        clamp: float = 5.0,
        group_size: int | None = None,
    ) -> None:
        super().__init__()
        if error_compensation not in ("ls", "ac", "none"):
            raise ValueError(f"error_compensation must be 'ls', 'ac' or 'none', but got {error_compensation!r}")
        if group_size is not None and (group_size < 1 or num_features % group_size):
            raise ValueError(f"group_size must divide num_features, but got {group_size=}, {num_features=}")
        self.num_features, self.affine, self.group_size = num_features, affine, group_size
        self.eps, self.layer_scale_eps, self.clamp = eps, layer_scale_eps, clamp
        self.error_compensation = error_compensation
        self._set_decay("forward_decay", forward_decay)
        self._set_decay("backward_decay", backward_decay)
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        for name in STATE:
            self.register_buffer(name, torch.zeros(num_features, dtype=torch.float32))
        self.reset_running_stats()

    def _set_decay(self, name: str, decay: float | Tensor) -> None:
        # A number stays on the CPU: a model may be built on the meta device, whose values can not be looked at.
        values = torch.as_tensor(
            decay, dtype=torch.float64, device=decay.device if isinstance(decay, Tensor) else "cpu"
        )
        if values.shape not in ((), (self.num_features,)):
            raise ValueError(f"{name} must be a number or (num_features,), but got a tensor of {tuple(values.shape)}")
        if not bool(((values > 0) & (values < 1)).all()):
            raise ValueError(f"0 < {name} < 1 must hold, but got {name}={decay}")
        if values.dim():
            self.register_buffer(name, values.clone(), persistent=False)
        else:  # A double until the last moment: 1 - float32(0.999) is off by 1.3e-5.
            setattr(self, name, float(values))

    @torch.no_grad()
    def reset_running_stats(self) -> None:
        """Set the state to what it was before any sample: variance 1, the rest 0."""
        for name in STATE:
            getattr(self, name).fill_(1 if name == "running_var" else 0)

    @torch.no_grad()
    def rescale_gradient_state(self, factor: float | Tensor) -> None:
        """Follow a change of the loss's scale, new over old (mixed precision; another number of micro-batches)."""
        self.u.mul_(factor)
        self.v.mul_(factor)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (N, C, *); the layout (contiguous or channels_last) and dtype are kept.

        Raises:
            ValueError: the input has another shape.
            RuntimeError: the forward repeats a checkpointed one, and `online_norm_checkpoint` was not used.
        """
        self._check(x)
        x = _dense(x)
        if is_compiling() and self.training and x.is_cpu and x.dtype in (torch.float32, torch.bfloat16):
            return self._traced(x)
        statistics = self.running_mean, self.running_var
        options = self._options()
        if not self.training:
            return evaluated(x, self.weight, self.bias, statistics, options)
        if not is_compiling():
            tape = current_tape()
            if tape is None:
                refuse_unknown_recomputation()
            else:
                kept = tape.statistics(self, *statistics)
                statistics = kept if tape.replaying else statistics
        return online_normalize(x, self.weight, self.bias, statistics, (self.u, self.v), options)

    def extra_repr(self) -> str:
        """What `print(model)` says of it."""
        options = self._options()._asdict()
        decays = {name: options[name] for name in ("forward_decay", "backward_decay")}
        shown = ", ".join(f"{n}={d if isinstance(d, float) else 'per channel'}" for n, d in decays.items())
        return f"{self.num_features}, {shown}, error_compensation={self.error_compensation!r}, affine={self.affine}"

    def _traced(self, x: Tensor) -> Tensor:
        # The least of Python: all that Dynamo walks through here is a guard, which every call checks.
        numbers, tensors = [], []
        for decay in (self.forward_decay, self.backward_decay):
            is_number = isinstance(decay, float)
            numbers.append(decay if is_number else 0.0)
            tensors.append(None if is_number else decay)
        out: Tensor = online_norm_operator(
            x, self.weight, self.bias, self.running_mean, self.running_var, self.u, self.v,
            numbers, *tensors, [self.eps, self.layer_scale_eps, self.clamp], self.error_compensation,
            self.group_size or 0,
        )  # fmt: skip
        return out

    def _options(self) -> OnlineNormOptions:
        return OnlineNormOptions(
            forward_decay=self.forward_decay,
            backward_decay=self.backward_decay,
            eps=self.eps,
            error_compensation=self.error_compensation,
            layer_scale_eps=self.layer_scale_eps,
            clamp=self.clamp,
            group_size=self.group_size,
        )

    def _check(self, x: Tensor) -> None:
        if self.dimensions and x.dim() not in self.dimensions:
            wanted = " or ".join(f"{dimension}-D" for dimension in self.dimensions)
            raise ValueError(f"{type(self).__name__} takes {wanted} input, but got the shape {tuple(x.shape)}")
        if x.dim() < 2 or x.shape[1] != self.num_features:
            raise ValueError(f"the input must have {self.num_features} channels, but got the shape {tuple(x.shape)}")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        # .to(bfloat16), .half(): the state stays float32 or better; decays stay float64.
        kept = {name: buffer for name, buffer in self._buffers.items() if buffer is not None}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, before in kept.items():
            after = self._buffers[name]
            assert after is not None
            if after.dtype.itemsize < (4 if name in STATE else 8):
                self._buffers[name] = before.to(after.device)
        return self


class OnlineNorm2d(OnlineNorm):
    """Online normalization of maps (N, C, H, W); see `OnlineNorm`."""

    dimensions = (4,)


class OnlineNorm1d(OnlineNorm):
    """Online normalization of vectors (N, C), or of sequences (N, C, L); see `OnlineNorm`."""

    dimensions = (2, 3)


def _dense(x: Tensor) -> Tensor:
    channels_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return x if channels_last else x.contiguous()
