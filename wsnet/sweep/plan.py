"""The plan of a sweep: every trial with its identity, checked as far as it can be without training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsnet.config import ConfigError, Mistake, Sweep, TrialConfig, setting_id, trial_id
from wsnet.config.sweep import AshaConfig
from wsnet.data import load
from wsnet.models import ModelError, activation_bytes, multiply_accumulates, parameter_count, pretrained_hash
from wsnet.storage import Manifest, TrialEntry
from wsnet.sweep.names import setting_names

__all__ = ["ModelSize", "Plan", "PlannedTrial", "make_plan"]


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """How big a setting's model is.

    Attributes:
        parameters: trained values.
        multiply_accumulates: of one image's forward pass.
        activation_bytes: kept per image for the backward pass.
        pretrained: hash of the file of weights that it begins from, if any.
    """

    parameters: int
    multiply_accumulates: int
    activation_bytes: int
    pretrained: str | None


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """One trial: its configuration and its entry in the manifest."""

    config: TrialConfig
    entry: TrialEntry


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

    @property
    def manifest(self) -> Manifest:
        """What the sweep's folder tells a report."""
        config, axes = self.sweep.config, self.sweep.axes
        grid = [key for key in config.grid if key in axes]
        columns = config.report.columns or (grid[-1] if grid else None)
        rows = config.report.rows
        report = {
            "rows": list(rows) if rows is not None else [key for key in axes if key != columns],
            "columns": columns,
            "metric": config.report.metric,
            "statistic": config.report.statistic,
        }
        return Manifest(
            name=config.name,
            question=config.question or config.name,
            report=report,
            axes=axes,
            trials=[trial.entry for trial in self.trials],
        )


def make_plan(sweep: Sweep, path: str, *, root: Path) -> Plan:
    """Give every trial its identity, and build every model once without memory to see that it can be built.

    Args:
        sweep: the sweep file, read.
        path: its name, for messages.
        root: folder of the image sets; sets that are not decoded yet are decoded into the cache.

    Raises:
        DataError: images are missing or damaged.
        ConfigError: a model can not be built, a batch can not be split between the workers, or no rung is ever reached.
    """
    workers = sweep.config.resources.workers
    hashes = {data: load(data, root=root).hash for data in {setting.config.data for setting in sweep.settings}}
    varying = [{key: value for key, value in setting.axes.items() if key in sweep.axes} for setting in sweep.settings]
    trials, mistakes = [], []
    sizes: dict[str, ModelSize] = {}
    known: dict[object, ModelSize | ModelError] = {}
    for setting, axes, name in zip(sweep.settings, varying, setting_names(varying), strict=True):
        config = setting.config
        about: dict[str, Any] = {"data_hash": hashes[config.data], "workers": workers}
        mistakes += _split_mistakes(config, path, workers)
        size = _size(config, known)
        if isinstance(size, ModelError):
            mistakes.append(Mistake(path, ", ".join(f"{k}={v}" for k, v in axes.items()), str(size)))
            continue
        about["warm_start"] = size.pretrained
        identity = setting_id(config, **about)
        sizes[identity] = size
        for seed in sweep.config.seed_list:
            seeded = config.model_copy(update={"seed": seed})
            entry = TrialEntry(
                trial_id=trial_id(seeded, **about), setting_id=identity, seed=seed, name=f"{name}-s{seed}", axes=axes
            )
            trials.append(PlannedTrial(config=seeded, entry=entry))
    if mistakes := [*_rung_mistakes(sweep, path), *mistakes]:
        raise ConfigError(mistakes)
    return Plan(sweep=sweep, path=path, trials=trials, sizes=sizes)


def _size(config: TrialConfig, known: dict[object, ModelSize | ModelError]) -> ModelSize | ModelError:
    """The size of a setting's model, or why it can not be built; the same model is built once."""
    facts = config.data.facts
    key = (config.model, facts.classes, facts.shape)
    if key not in known:
        try:
            known[key] = ModelSize(
                parameters=parameter_count(config.model, facts.classes, facts.shape),
                multiply_accumulates=multiply_accumulates(config.model, facts.classes, facts.shape),
                activation_bytes=activation_bytes(config.model, facts.classes, facts.shape),
                pretrained=pretrained_hash(config.model),
            )
        except ModelError as error:
            known[key] = error
    return known[key]


def _split_mistakes(config: TrialConfig, path: str, workers: int) -> list[Mistake]:
    if config.model.norm.name == "online" and workers > 1:
        rule = "norm 'online' keeps one stream of statistics, which several workers can not share yet"
        return [Mistake(path, "resources.workers", f"{rule}; got resources.workers={workers}, use 1")]
    if config.train.batch_size % workers == 0:
        return []
    rule = f"train.batch_size must be a multiple of resources.workers, but got {config.train.batch_size} and {workers}"
    return [Mistake(path, "resources.workers", rule)]


def _rung_mistakes(sweep: Sweep, path: str) -> list[Mistake]:
    scheduler, longest = sweep.config.scheduler, max(setting.config.train.epochs for setting in sweep.settings)
    if not isinstance(scheduler, AshaConfig) or scheduler.grace <= longest:
        return []
    rule = f"the first rung must not lie beyond train.epochs, but got grace={scheduler.grace} and epochs={longest}"
    return [Mistake(path, "scheduler.grace", rule)]
