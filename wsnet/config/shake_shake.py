"""`model` of the shake-shake nets."""

from typing import Literal, Self

from pydantic import model_validator

from wsnet.config.base import PositiveInt, conflict
from wsnet.config.network import NetworkConfig

__all__ = ["ShakeShakeConfig"]


class ShakeShakeConfig(NetworkConfig):
    """Shake-shake (Gastaldi 2017): residual blocks with two branches, mixed at random. As it stands, S-S-I."""

    name: Literal["shake_shake"]
    depth: PositiveInt = 26
    """Number of weighted layers, 6n + 2."""
    width: PositiveInt = 32
    """Channels of the first stage (the 32 of 2x32d); the second has twice, the third four times as many."""
    stem_width: PositiveInt = 16
    """Channels of the first convolution. (One published implementation has as many as the first stage.)"""
    forward: Literal["shake", "even"] = "shake"
    """Share of the first branch in the forward pass: drawn from 0 to 1, or one half."""
    backward: Literal["shake", "even", "keep"] = "shake"
    """The same in the backward pass: drawn anew, one half, or as in the forward pass."""
    level: Literal["image", "batch"] = "image"
    """Whether each image has its own share, or the batch has one."""

    @model_validator(mode="after")
    def _depth_fills_three_stages(self) -> Self:
        if self.depth < 8 or (self.depth - 2) % 6:
            near = max(1, round((self.depth - 2) / 6)) * 6 + 2
            text = f"depth must be 6n + 2, but got depth={self.depth}; near it: {near}"
            raise conflict((text, ("depth",)))
        return self

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> Self:
        found: list[tuple[str, tuple[str, ...]]] = []
        if self.forward == "even" and self.backward == "keep":
            found.append(("backward 'keep' with forward 'even' is backward 'even'; say that", ("backward", "forward")))
        if (self.forward, self.backward) == ("even", "even") and self.level != "image":
            text = "level has no effect where nothing is drawn (forward 'even', backward 'even'); leave it out"
            found.append((text, ("level", "forward", "backward")))
        if found:
            raise conflict(*found)
        return self
