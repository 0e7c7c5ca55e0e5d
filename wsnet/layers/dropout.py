"""Dropout (Srivastava et al. 2014), with random numbers that survive a resume."""

from torch import Tensor

from wsnet.layers.randomness import RandomLayer

__all__ = ["Dropout"]


class Dropout(RandomLayer):
    """In training sets each element to zero with probability p, and divides the others by 1 - p.

    What is dropped depends on (seed, layer, step, image, element) only: see `LayerRandomness`.

    Args:
        p: probability, in [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        assert 0 <= p < 1, p
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Images of any shape, N x ..., to the same shape."""
        if not self.training or not self.p:
            return x
        return x * self.kept_per_element(x, self.p) * (1 / (1 - self.p))

    def extra_repr(self) -> str:
        """What `print(model)` says of it."""
        return f"p={self.p}"
