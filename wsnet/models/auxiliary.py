"""Losses of networks with auxiliary classifiers, which give more than one set of logits in training.

Googlenet (Szegedy et al. 2015, arXiv:1409.4842, section 5) has two, whose losses count 0.3 each; inception_v3 (Szegedy
et al. 2016, arXiv:1512.00567) has one, whose loss counts 0.4 in the authors' code and in torchvision's tutorial. They
are for training only: in evaluation there is one set of logits.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

__all__ = ["loss_and_logits"]

_WEIGHTS = {"GoogLeNetOutputs": 0.3, "InceptionOutputs": 0.4}
"""Weight of each auxiliary loss, by the type of what the network gives: its logits first, then the others."""


def loss_and_logits(output: Any, labels: Tensor, *, of: int | None = None) -> tuple[Tensor, Tensor]:
    """Mean cross entropy with all auxiliary ones, and the logits that count.

    Args:
        output: what a network gives: logits N x classes, or torchvision's named tuple of several.
        labels: N.
        of: images that the mean is over, where these are a part of them; None: these.
    """
    if isinstance(output, Tensor):
        return _cross_entropy(output, labels, of), output
    logits, *others = output
    loss = _cross_entropy(logits, labels, of)
    for other in others:
        loss = loss + _WEIGHTS[type(output).__name__] * _cross_entropy(other, labels, of)
    return loss, logits


def _cross_entropy(logits: Tensor, labels: Tensor, of: int | None) -> Tensor:
    return F.cross_entropy(logits, labels) if of is None else F.cross_entropy(logits, labels, reduction="sum") / of
