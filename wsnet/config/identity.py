"""Identity: equal ids mean equal results, so that nothing is ever trained twice.

Part of it: every option that changes the results and is not at its default (so that an option added later does not
orphan old results), the hash of the images and their split, how many samples share batch statistics, how many streams
of images an online norm has, NUMERICS, and the revisions that apply. Not part of it:
names, paths, worker counts, checkpoints kept, and how the trial is executed (that is the execution record).
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

from wsnet.config.norm import OwnNormConfig
from wsnet.config.trial import TrialConfig

__all__ = ["NUMERICS", "affects_identity", "canonical", "canonical_text", "identities", "setting_id", "trial_id"]

NUMERICS = 1
"""Incremented whenever a change to this code alters the results of all trials."""

_CLOSED_FORM = ("batch_renorm", "evonorm_s0", "filter_response", "ghost_batch", "instance")

_REVISIONS: dict[str, Callable[[TrialConfig], bool]] = {
    # The averaged weights are evaluated with their own norm statistics, no longer with those of the current weights.
    "ema-statistics": lambda config: config.train.ema is not None and config.model.norm.keeps_statistics,
    # Online norm's u and v follow the scale of the loss where an epoch's last batch has a different size.
    "online-last-batch": lambda config: config.model.norm.streams and config.last_batch_size != config.train.batch_size,
    # Gradients in closed form (instance and ghost batch norm: in channels_last), batch norm's own moments for batch
    # renormalization: other roundings. Also, the TLU's gradient at its threshold is zero, as the ReLU's.
    "closed-form-norms": lambda config: config.model.norm.name in _CLOSED_FORM,
}
"""Code changes that altered the results of some settings, and which settings: part of the identity of only those."""

_NOT_IN_IDENTITY: Any = {
    "data": {"workers", "found"},
    "model": {"checkpointing"},
    "train": {"keep", "checkpoint_steps", "tensorboard", "diagnostics"},
    "execution": True,
    "seed": True,
}
"""Options that do not change a trial's results, or are not part of its setting."""


def canonical(config: TrialConfig) -> dict[str, Any]:
    """The options that determine a setting's results and are not at their defaults."""
    options = config.model_dump(mode="json", exclude_defaults=True, exclude=_NOT_IN_IDENTITY)
    if not config.micro_batch_counts:
        options["train"].pop("micro_batch_size", None)
    norm = config.model.norm
    if isinstance(norm, OwnNormConfig):  # Its source counts; the file's location does not.
        options["model"]["norm"]["name"] = norm.class_name
        options["model"]["norm"].pop("source_file", None)
    return options


def affects_identity(key: str) -> bool:
    """Whether a dotted key of a trial, or a key below it, is part of a setting's identity."""
    inner: Any = _NOT_IN_IDENTITY
    for part in key.split("."):
        if inner is True or part in (inner if isinstance(inner, set) else ()):
            return False
        inner = inner.get(part, {}) if isinstance(inner, dict) else {}
    return inner is not True


def canonical_text(config: TrialConfig) -> str:
    """`canonical` as JSON: equal texts mean the same setting."""
    return json.dumps(canonical(config), sort_keys=True, separators=(",", ":"), allow_nan=False)


def setting_id(config: TrialConfig, *, data_hash: str, workers: int = 1, warm_start: str | None = None) -> str:
    """Identity of a setting.

    Args:
        config: any trial of the setting; its seed does not count.
        data_hash: hash of the decoded images and their split.
        workers: processes that share a batch. With a norm that uses batch statistics each process normalizes its own
            share, so the size of a share counts; with a norm that passes statistics from image to image each process
            has its own stream, so the number of streams counts; otherwise the number of workers only changes rounding
            and does not count.
        warm_start: hash of the file (of pretrained weights, or a checkpoint) that training starts from, if any.

    Returns:
        12 hexadecimal digits.
    """
    return _hash(_identity(config, data_hash, workers, warm_start))


def trial_id(config: TrialConfig, *, data_hash: str, workers: int = 1, warm_start: str | None = None) -> str:
    """Identity of a trial: its setting and its seed. See `setting_id`."""
    return identities(config, [config.seed], data_hash=data_hash, workers=workers, warm_start=warm_start)[1][0]


def identities(
    config: TrialConfig, seeds: Iterable[int], *, data_hash: str, workers: int = 1, warm_start: str | None = None
) -> tuple[str, list[str]]:
    """The setting_id, and the trial_id for each seed; the other arguments are those of `setting_id`."""
    setting = _identity(config, data_hash, workers, warm_start)
    return _hash(setting), [_hash({**setting, "seed": seed}) for seed in seeds]


def _identity(config: TrialConfig, data_hash: str, workers: int, warm_start: str | None) -> dict[str, Any]:
    options = canonical(config)
    # The path of the weights does not count: `warm_start` identifies their content.
    if options["model"].pop("pretrained", None) is not None:
        assert warm_start is not None, "a trial with pretrained weights needs the hash of their file"
    options["data"].pop("path", None)  # Distinguishes settings of a sweep, but the images count, not their path.
    identity: dict[str, Any] = {"numerics": NUMERICS, "data": data_hash, "options": options}
    if revisions := [name for name, concerns in _REVISIONS.items() if concerns(config)]:
        identity["revisions"] = revisions
    norm = config.model.norm
    if workers > 1 and norm.over_batch and not norm.over_workers:
        identity["samples_per_statistic"] = config.train.batch_size // workers
    if workers > 1 and norm.streams:
        identity["streams"] = workers
    if warm_start is not None:
        identity["warm_start"] = warm_start
    return identity


def _hash(identity: dict[str, Any]) -> str:
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
