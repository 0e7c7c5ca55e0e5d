"""`model` of the PyramidNets."""

from typing import Literal, Self

from pydantic import model_validator

from wsnet.config.base import Positive, PositiveInt, conflict
from wsnet.config.network import NetworkConfig

__all__ = ["PyramidNetConfig"]


class PyramidNetConfig(NetworkConfig):
    """PyramidNet for small images (Han et al. 2017): every block is a little wider than the one before."""

    name: Literal["pyramidnet"]
    depth: PositiveInt
    """Number of weighted layers: 6n + 2 with basic blocks (110), 9n + 2 with bottlenecks (164, 272)."""
    alpha: Positive
    """Channels added over all blocks together (48, 84, 200, 240, 270)."""
    block: Literal["basic", "bottleneck"] = "basic"
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1 with four times as many channels outside as inside."""
    width: PositiveInt = 16
    """Channels that the widening starts from."""
    stem_width: PositiveInt | None = None
    """Channels of the first convolution, where they are not `width`. (One published implementation has 4 * width
    with bottlenecks.)"""

    @model_validator(mode="after")
    def _depth_fills_three_stages(self) -> Self:
        each = 6 if self.block == "basic" else 9
        if self.depth < each + 2 or (self.depth - 2) % each:
            near = max(1, round((self.depth - 2) / each)) * each + 2
            text = f"depth must be {each}n + 2 with {self.block} blocks, but got depth={self.depth}; near it: {near}"
            raise conflict((text, ("depth", "block")))
        return self
