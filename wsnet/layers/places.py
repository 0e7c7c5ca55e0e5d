"""Which modules of a network stand in a norm's place: also a norm of the user's own, or the nothing of norm `none`."""

from torch import nn

__all__ = ["mark_norm", "norms_of"]


def mark_norm(module: nn.Module) -> nn.Module:
    """The module, marked as one in a norm's place."""
    module.is_in_norms_place = True  # type: ignore[assignment]
    return module


def norms_of(model: nn.Module) -> dict[str, nn.Module]:
    """The marked modules of a network by name, in the order in which it was built."""
    return {name: module for name, module in model.named_modules() if hasattr(module, "is_in_norms_place")}
