"""wsnet: which normalization wins, over enough seeds to believe it."""

__version__ = "0.1.0"
