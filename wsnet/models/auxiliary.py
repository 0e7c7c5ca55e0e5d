"""Losses of networks with auxiliary classifiers, which give more than one set of logits in training.

Googlenet (Szegedy et al. 2015, arXiv:1409.4842, section 5) has two, whose losses count 0.3 each; inception_v3 (Szegedy
et al. 2016, arXiv:1512.00567) has one, whose loss counts 0.4 in the authors' code and in torchvision's tutorial. They
are for training only: in evaluation there is one set of logits.
"""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor

__all__ = ["loss_and_logits", "with_auxiliary"]

_WEIGHTS = {"GoogLeNetOutputs": 0.3, "InceptionOutputs": 0.4}
"""Weight of each auxiliary loss, by the type of what the network gives: its logits first, then the others."""


def with_auxiliary(output: Any, loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """The loss with all auxiliary ones, and the logits that count.

    Args:
        output: what a network gives: logits N x classes, or torchvision's named tuple of several.
        loss: of one set of logits.
    """
    if isinstance(output, Tensor):
        return loss(output), output
    logits, *others = output
    total = loss(logits)
    for other in others:
        total = total + _WEIGHTS[type(output).__name__] * loss(other)
    return total, logits


def loss_and_logits(output: Any, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross entropy with all auxiliary ones, and the logits that count.

    Args:
        output: what a network gives: logits N x classes, or torchvision's named tuple of several.
        labels: N.
    """
    return with_auxiliary(output, lambda logits: F.cross_entropy(logits, labels))
