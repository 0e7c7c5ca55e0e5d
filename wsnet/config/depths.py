"""The valid depths of networks for small images, such as 6n + 2."""

from dataclasses import dataclass

from wsnet.config.base import conflict

__all__ = ["DENSE_DEPTH", "RESIDUAL_DEPTH", "WIDE_DEPTH", "DepthRule", "check_depth", "depth_conflict"]


@dataclass(frozen=True)
class DepthRule:
    """The valid depths, `step * n + others`, of a network for small images with n blocks in each of its three stages.

    Attributes:
        step: weighted layers added by one more block in each stage.
        others: weighted layers outside the blocks.
    """

    step: int
    others: int

    def __str__(self) -> str:
        return f"{self.step}n + {self.others}"

    def blocks(self, depth: int) -> int:
        """n, the number of blocks in each stage.

        Raises:
            ValueError: no whole number of blocks gives this depth.
        """
        n, rest = divmod(depth - self.others, self.step)
        if n < 1 or rest:
            raise ValueError(f"depth must be {self} with n >= 1, but got depth={depth}")
        return n

    def near(self, depth: int) -> int | None:
        """The nearest valid depth; None if `depth` itself is valid."""
        n = (depth - self.others + self.step // 2) // self.step
        near = self.step * max(1, n) + self.others
        return None if near == depth else near


RESIDUAL_DEPTH = {"basic": DepthRule(6, 2), "bottleneck": DepthRule(9, 2)}
"""Residual networks for small images, by type of block (two or three layers): ResNet, ResNeXt, PyramidNet, ..."""
WIDE_DEPTH = DepthRule(6, 4)
"""Wide ResNet, which counts the convolutions of its three shortcuts."""
DENSE_DEPTH = {True: DepthRule(6, 4), False: DepthRule(3, 4)}
"""DenseNet for small images, by whether it has bottlenecks."""


def check_depth(depth: int, rule: DepthRule, examples: str, where: str = "") -> int:
    """The depth, if the rule allows it.

    Args:
        depth: number of weighted layers.
        rule: what it has to be.
        examples: valid depths, for the message.
        where: to which networks the rule applies, for the message.

    Raises:
        ValueError: the rule does not allow it.
    """
    near = rule.near(depth)
    if near is not None:
        raise ValueError(f"depth must be {rule}{where} ({examples}, ...), but got {depth}; near it: {near}")
    return depth


def depth_conflict(depth: int, rule: DepthRule, where: str, keys: tuple[str, ...]) -> None:
    """Raise a mistake that names other keys too, if the rule does not allow the depth."""
    near = rule.near(depth)
    if near is not None:
        raise conflict((f"depth must be {rule}{where}, but got depth={depth}; near it: {near}", ("depth", *keys)))
