"""Online normalization (Chiley et al. 2019, arXiv 1905.05894): running statistics in both directions, any batch size.

Each sample is normalized by the running mean and variance of the samples before it; two more running quantities, u and
v, make the gradient orthogonal to the constant and to the output. Order matters: micro-batches that run forward,
backward, forward, backward equal one large batch exactly; with all forwards before all backwards they do not.

    module      the layers, and the autograd function that they call
    formulas    the maths, in torch operations
    kernel      the same for CPUs in C++ (kernel.cpp), as two operators
    state       what the layers carry from sample to sample: saved, rescaled, restored, merged over workers
"""

from wsnet.layers.online_norm.module import OnlineNorm, OnlineNorm1d, OnlineNorm2d
from wsnet.layers.online_norm.state import (
    merged_online_state,
    online_norm_checkpoint,
    online_state,
    online_states,
    rescale_gradient_state,
    restore_online_state,
)

__all__ = [
    "OnlineNorm",
    "OnlineNorm1d",
    "OnlineNorm2d",
    "merged_online_state",
    "online_norm_checkpoint",
    "online_state",
    "online_states",
    "rescale_gradient_state",
    "restore_online_state",
]
