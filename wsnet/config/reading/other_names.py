"""Names that norms and reparametrized weights have elsewhere, such as `batchnorm`, and the values that they mean."""

from wsnet.config.norm import NormConfig
from wsnet.config.own_class import OwnClass
from wsnet.config.reading.messages import variant_name, variants

__all__ = ["other_name"]

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
    plain = "".join(letter for letter in word.lower() if letter.isalnum())
    if plain in _WEIGHTS:
        return f"model.weight: {_WEIGHTS[plain]}"
    if plain in _SHORT:
        return f"model.norm.name: {_SHORT[plain]}"
    for kind in variants(NormConfig):
        if not issubclass(kind, OwnClass):
            name = variant_name(kind)
            if plain.removesuffix("2d") in (f"{name.replace('_', '')}{end}" for end in ("norm", "normalization")):
                return f"model.norm.name: {name}"
    return None
