"""wsnet: which normalization wins, over enough seeds to believe it."""

from typing import TYPE_CHECKING

from wsnet.lazy import lazy_names

if TYPE_CHECKING:
    from wsnet.config.errors import ConfigError
    from wsnet.errors import Error
    from wsnet.layers.replacing import replace_norms
    from wsnet.models.from_options import model
    from wsnet.python_sweep import FinishedSweep, run
    from wsnet.report.sources.load import load

__version__ = "0.1.0"
__all__ = ["ConfigError", "Error", "FinishedSweep", "__version__", "load", "model", "replace_norms", "run"]

# Loaded when first used: importing wsnet loads neither torch nor pyarrow.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ConfigError": "config.errors",
        "Error": "errors",
        "FinishedSweep": "python_sweep",
        "load": "report.sources.load",
        "model": "models.from_options",
        "replace_norms": "layers.replacing",
        "run": "python_sweep",
    },
)
