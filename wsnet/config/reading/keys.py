"""Every dotted key that a trial's configuration can have, whatever variant it needs."""

from functools import cache

from pydantic import BaseModel

from wsnet.config.errors import did_you_mean
from wsnet.config.own_class import OWN_OPTION
from wsnet.config.reading.messages import variants
from wsnet.config.sweep import SweepConfig
from wsnet.config.trial import TrialConfig

__all__ = ["dotted_keys", "is_key", "sweep_keys", "unknown_key"]


@cache
def dotted_keys() -> dict[str, str]:
    """Dotted key to its documentation, such as `model.norm.groups`; sections are keys too."""
    return _keys_of(TrialConfig, "")


@cache
def sweep_keys() -> dict[str, str]:
    """Dotted key to its documentation, of what a sweep file says beside its trials, such as `scheduler.eta`."""
    return _keys_of(SweepConfig, "")


def is_key(key: str, *, own: bool) -> bool:
    """Whether a trial's configuration can have a dotted key.

    Args:
        key: the key.
        own: whether an own norm is in use: its options are known to its constructor only.
    """
    return key in dotted_keys() or (own and OWN_OPTION.fullmatch(key) is not None)


def unknown_key(key: str) -> str:
    """What to say of a key that is none of `dotted_keys`."""
    near = did_you_mean(key, dotted_keys())
    return f"unknown key{near if 'did you mean' in near else '; python -m wsnet.config keys lists all'}"


def _keys_of(model: type[BaseModel], prefix: str) -> dict[str, str]:
    keys: dict[str, str] = {}
    for name, info in model.model_fields.items():
        key = f"{prefix}{name}"
        keys.setdefault(key, info.description or "")
        for inner in variants(info.annotation):
            keys |= {k: text for k, text in _keys_of(inner, f"{key}.").items() if k not in keys}
    return keys
