"""Names that norms and reparametrized weights have elsewhere, such as `batchnorm`, and the values that they mean."""

from wsnet.config.norm import NormConfig
from wsnet.config.own_class import OwnClass
from wsnet.config.reading.messages import variant_name, variants

__all__ = ["norm_called", "other_name"]

_WEIGHTS = {
    "ws": "standardized",
    "weightstandardization": "standardized",
    "standardization": "standardized",
    "weightnorm": "normalized",
    "weightnormalization": "normalized",
}
_SHORT = {
    "bn": "batch",
    "batchrenormalization": "batch_renorm",
    "brn": "batch_renorm",
    "frn": "filter_response",
    "gbn": "ghost_batch",
    "gn": "group",
    "in": "instance",
    "ln": "layer",
    "syncbn": "sync_batch",
}


def other_name(word: str) -> str | None:
    """The key with the value that a name stands for, such as `model.norm.name: batch`; None for any other word."""
    plain = _plain(word)
    if plain in _WEIGHTS:
        return f"model.weight: {_WEIGHTS[plain]}"
    norm = norm_called(word)
    return None if norm is None else f"model.norm.name: {norm}"


def norm_called(word: str) -> str | None:
    """The norm that a name stands for, such as `batch` for `bn`; None for any other word."""
    plain = _plain(word)
    if plain in _SHORT:
        return _SHORT[plain]
    for kind in variants(NormConfig):
        if not issubclass(kind, OwnClass):
            name = variant_name(kind)
            if plain.removesuffix("2d") in (f"{name.replace('_', '')}{end}" for end in ("norm", "normalization")):
                return name
    return None


def _plain(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum())
