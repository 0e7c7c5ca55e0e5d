"""The plan of a sweep: every trial with its identity, checked as far as it can be without training."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wsnet.config import ConfigError, Mistake, Sweep, TrialConfig
from wsnet.config.augment import AugmentConfig
from wsnet.config.data import DataConfig
from wsnet.config.errors import counted
from wsnet.config.identity import canonical_text, identities
from wsnet.config.norm import OwnNormConfig
from wsnet.config.published import settled
from wsnet.config.reading.table_rows import columns_of, defaults_of
from wsnet.config.scaling import learning_rate_rule
from wsnet.config.schedulers import FifoConfig, HyperbandConfig
from wsnet.config.trial import describe_statistics
from wsnet.data import load
from wsnet.layers import OwnNormError, load_own_norm
from wsnet.models import ModelError
from wsnet.storage import Manifest, TrialEntry
from wsnet.sweep.planning.costs import epoch_cost
from wsnet.sweep.planning.model_sizes import ModelSize, ModelSizes
from wsnet.sweep.planning.recipe import fixed_options
from wsnet.sweep.planning.setting_names import setting_names

__all__ = ["Plan", "PlannedTrial", "make_plan"]


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """One trial.

    Attributes:
        config: its configuration.
        entry: its entry in the manifest.
        identity: what its trial_id depends on besides its options; see `trial_id`.
    """

    config: TrialConfig
    entry: TrialEntry
    identity: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sweep, ready to be run.

    Attributes:
        sweep: the sweep file.
        path: the file's name.
        trials: every trial, setting by setting, in the file's order.
        sizes: model size by setting_id.
    """

    sweep: Sweep
    path: str
    trials: list[PlannedTrial]
    sizes: dict[str, ModelSize]

    def of(self, sweep: Sweep) -> "Plan":
        """This plan restricted to the settings of `sweep`, with the trials unchanged."""
        if sweep is self.sweep:
            return self
        kept = {canonical_text(setting.config) for setting in sweep.settings}
        seen = {trial.entry.setting_id: trial.config for trial in self.trials}  # Any seed of it: the seed is left out.
        ids = {identity for identity, config in seen.items() if canonical_text(config) in kept}
        return replace(self, sweep=sweep, trials=[trial for trial in self.trials if trial.entry.setting_id in ids])

    @property
    def manifest(self) -> Manifest:
        """The sweep's manifest, from which reports are made."""
        config, axes = self.sweep.config, self.sweep.axes
        chosen, columns = self._chosen, columns_of(config, axes)
        rows = config.report.rows
        report = {
            "rows": list(rows) if rows is not None else [k for k in axes if k != columns and k not in chosen],
            "columns": columns,
            "metric": config.report.metric,
            "statistic": config.report.statistic,
            "trials": len(self.trials),
            "fixed": fixed_options(self.sweep.base, axes),
            **self._caption,
        }
        return Manifest(
            name=config.name,
            question=config.question or config.name,
            report=report,
            axes=axes,
            trials=[trial.entry for trial in self.trials],
        )

    @property
    def _caption(self) -> dict[str, Any]:
        """Further entries of the manifest's `report`, where they apply."""
        found: dict[str, Any] = {}
        link, select = self.sweep.config.report.published, self.sweep.config.report.select
        tuned = self.sweep.tuned
        rule = learning_rate_rule(self.sweep.settings, select) if tuned is None else tuned.learning_rate
        if rule is not None:
            found["learning_rate"] = rule
        configs = [setting.config for setting in self.sweep.settings]
        evaluated = describe_statistics(c.train.evaluation_statistics for c in configs if c.model.norm.keeps_statistics)
        if evaluated is not None:
            found["evaluation_statistics"] = evaluated
        if link is not None:
            first = self.sweep.settings[0].axes
            shared = {key: value for key, value in first.items() if key not in self.sweep.axes}
            found["published"] = settled(link, self.sweep.axes, shared).model_dump(mode="json")
            if self.sweep.departures:
                found["departures"] = list(self.sweep.departures)
        if self.sweep.is_smoke:
            found["is_smoke"] = True
        if self.sweep.comparisons is not None:
            found["compare"] = self.sweep.comparisons.model_dump(mode="json")
        if len(images := {c.data.test_size for c in configs}) == 1:
            found["test_images"] = images.pop()
        if tuned is not None:
            found["tuned"] = {**tuned.model_dump(mode="json"), "over": self._chosen}
        elif select is not None and self._chosen:
            settings = len({trial.entry.setting_id for trial in self.trials})
            found["select"] = {"over": self._chosen, "by": select.by, "settings": settings}
        return found

    @property
    def _chosen(self) -> list[str]:
        """Axes to choose over, without those that the command line has fixed to one value."""
        select = self.sweep.config.report.select
        return [] if select is None else [key for key in select.over if key in self.sweep.axes]


def make_plan(sweep: Sweep, path: str, *, root: Path) -> Plan:
    """Give every trial its identity, and check that every model can be built, without allocating its memory.

    Args:
        sweep: the parsed sweep file.
        path: the file's name, for messages.
        root: folder of the image sets; sets that are not decoded yet are decoded into the cache.

    Raises:
        DataError: images are missing or damaged.
        ConfigError: a model cannot be built, a batch cannot be split between the workers, or no rung is ever reached.
    """
    _check_own_norms(sweep, path)
    workers, seeds = sweep.config.resources.workers, sweep.config.seed_list
    hashes = _image_hashes(sweep, root)
    varying = [[_only(axes, sweep.axes) for axes in setting.places] for setting in sweep.settings]
    names = setting_names([_common(places) for places in varying])
    mistakes: list[Mistake] = []
    refused: dict[str, list[dict[str, Any]]] = {}
    sizes: dict[str, ModelSize] = {}
    planned: dict[str, list[PlannedTrial]] = {}
    models = ModelSizes()
    for setting, (axes, *also), name in zip(sweep.settings, varying, names, strict=True):
        config = setting.config
        mistakes += _split_mistakes(config, path, workers)
        size = models.of(config)
        if isinstance(size, ModelError):
            refused.setdefault(str(size), []).append(axes)
            continue
        data_hash = hashes[_images(config.data)]
        beyond: dict[str, Any] = {"data_hash": data_hash, "workers": workers, "warm_start": size.pretrained}
        setting_id, trial_ids = identities(config, seeds, **beyond)
        if setting_id in sizes:  # Two files with equal images or pretrained weights: one setting at two places.
            for trial in planned[setting_id]:
                trial.entry.also.extend([axes, *also])
            continue
        sizes[setting_id] = size
        about: dict[str, Any] = {
            "setting_id": setting_id,
            "axes": axes,
            "epochs": config.train.epochs,
            "defaults": defaults_of(config, [axis for axis in sweep.axes if axis not in axes]),
            "parameters": size.parameters,
            "multiply_accumulates": size.multiply_accumulates,
            "epoch_cost": epoch_cost(config, size),
        }
        planned[setting_id] = [
            PlannedTrial(
                config=config.model_copy(update={"seed": seed}),
                entry=TrialEntry(trial_id=trial_id, seed=seed, name=f"{name}-s{seed}", also=list(also), **about),
                identity=beyond,
            )
            for seed, trial_id in zip(seeds, trial_ids, strict=True)
        ]
    if mistakes := [*_rung_mistakes(sweep, path), *mistakes, *_refusals(refused, path)]:
        raise ConfigError(mistakes)
    return Plan(sweep=sweep, path=path, trials=list(itertools.chain(*planned.values())), sizes=sizes)


def _refusals(refused: Mapping[str, list[dict[str, Any]]], path: str) -> Iterator[Mistake]:
    """A mistake for each reason why models cannot be built, with the values that these have in common."""
    for reason, places in refused.items():
        shared = ", ".join(f"{key}={value}" for key, value in _common(places).items())
        yield Mistake(path, shared if shared or len(places) == 1 else counted(len(places), "setting"), reason)


def _image_hashes(sweep: Sweep, root: Path) -> dict[DataConfig, str]:
    """The hash of each set of images and its splits, by `_images`."""
    found = dict.fromkeys(_images(setting.config.data) for setting in sweep.settings)
    return {data: load(data, root=root).hash for data in found}


def _images(data: DataConfig) -> DataConfig:
    """What determines the images and their splits."""
    return data.model_copy(update={"augment": AugmentConfig(), "workers": 0})


def _check_own_norms(sweep: Sweep, path: str) -> None:
    """Import the user's own norms first, so that a mistake in one is reported once, not for every setting."""
    mistakes = []
    for norm in (setting.config.model.norm for setting in sweep.settings):
        if isinstance(norm, OwnNormConfig):
            try:
                load_own_norm(norm)
            except OwnNormError as error:
                mistakes.append(Mistake(path, f"model.norm.name={norm.name}", str(error)))
    if mistakes:
        raise ConfigError(mistakes)


def _only(axes: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    return {key: value for key, value in axes.items() if key in keys}


def _common(places: list[dict[str, Any]]) -> dict[str, Any]:
    """What several combinations have in common; of one setting, its name must not describe only one of them."""
    first, *others = places
    return {key: value for key, value in first.items() if all(key in o and o[key] == value for o in others)}


def _split_mistakes(config: TrialConfig, path: str, workers: int) -> list[Mistake]:
    batch, micro, norm = config.train.batch_size, config.train.micro_batch_size, config.model.norm
    if batch % workers:
        rule = f"train.batch_size must be a multiple of resources.workers, but got {batch} and {workers}"
    elif not config.micro_batch_counts or micro is None or workers == 1:
        return []
    elif norm.over_workers:
        rule = f"norm {norm.name!r} takes no train.micro_batch_size with several workers; use norm 'batch', or 1 worker"
    elif batch // workers % micro:
        rule = (
            "train.micro_batch_size must divide each worker's share of a batch, but got "
            f"train.micro_batch_size={micro} with {batch} / {workers} images"
        )
    else:
        return []
    return [Mistake(path, "resources.workers", rule)]


def _rung_mistakes(sweep: Sweep, path: str) -> list[Mistake]:
    scheduler, longest = sweep.config.scheduler, max(setting.config.train.epochs for setting in sweep.settings)
    if isinstance(scheduler, FifoConfig):
        return []
    if scheduler.grace > longest:
        rule = f"the first rung must not come after train.epochs, but got grace={scheduler.grace} and epochs={longest}"
        return [Mistake(path, "scheduler.grace", rule)]
    if isinstance(scheduler, HyperbandConfig) and not all(scheduler.rungs(longest)[:-1]):
        rule = (
            "only the last bracket may be without a rung before train.epochs, but got "
            f"brackets={scheduler.brackets}, grace={scheduler.grace}, eta={scheduler.eta} and epochs={longest}"
        )
        return [Mistake(path, "scheduler.brackets", rule)]
    return []
