"""wsnet: which normalization wins, over enough seeds to believe it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsnet.report.sources.load import load

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    # Loaded when first used: commands that do not need it start without pyarrow.
    if name == "load":
        from wsnet.report.sources.load import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
