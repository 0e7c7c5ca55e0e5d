"""A sweep's results, read from its folder or from MLflow: what was asked, and every trial that has started."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from wsnet.config.errors import did_you_mean
from wsnet.report import ReportError
from wsnet.report.header import Axes, Header, axes_as_text, axis_text
from wsnet.storage import Outcome, TrialEntry
from wsnet.storage.seeds import measured
from wsnet.storage.trial_directory import LAYERS, TIME, Record

__all__ = ["PlacedTrial", "Results"]


@dataclass(frozen=True, kw_only=True)
class PlacedTrial:
    """A trial at one of its places in the sweep (see `TrialEntry.also`).

    Attributes:
        trial_id: identity of the setting with its seed.
        setting_id: identity of the setting.
        seed: the seed.
        status: as in `wsnet.storage.Status`.
        epoch: last complete epoch; 0 if there is none.
        axes: every axis of the sweep, at this place.
        defaults: values of axes that its case leaves at their defaults.
        metrics: of the last epoch; NaN where not finite, absent where not measured.
        parameters: trained values of its model; None if unknown.
        multiply_accumulates: of one image's forward pass; None if unknown.
        seconds: sum of its epochs' durations; None while it runs.
        is_compiled: whether its steps are compiled, which changes the rounding.
    """

    trial_id: str
    setting_id: str
    seed: int
    status: str
    epoch: int
    axes: Axes
    metrics: Mapping[str, float]
    defaults: Axes = field(default_factory=dict)
    parameters: int | None = None
    multiply_accumulates: int | None = None
    seconds: float | None = None
    is_compiled: bool = False

    def shown(self, axis: str) -> str | None:
        """Its value on an axis, as JSON text, or the default that holds there; None where the axis does not apply."""
        value = self.axes.get(axis)
        return self.defaults.get(axis) if value is None else value

    def measured(self, metric: str) -> float | None:
        """A metric of the last epoch, or the accuracy that belongs to an error; None where it was not measured."""
        return measured(self.metrics, metric)


@dataclass(frozen=True)
class Results:
    """A sweep's results.

    Attributes:
        header: what was asked.
        trials: those that have started, in the order of the sweep file, each once for each of its places.
    """

    header: Header
    trials: tuple[PlacedTrial, ...]

    @classmethod
    def of(cls, header: Header, entries: Sequence[TrialEntry], outcomes: Mapping[str, Outcome]) -> "Results":
        """Join what was asked with the outcomes.

        Args:
            header: the sweep's header.
            entries: the manifest's trials.
            outcomes: by trial_id, for the trials that have started.
        """
        started = [entry for entry in entries if entry.trial_id in outcomes]
        return cls(
            header,
            tuple(
                _placed(entry, axes_as_text(axes, header.axes), outcomes[entry.trial_id])
                for entry in started
                for axes in entry.places
            ),
        )

    @property
    def metrics(self) -> list[str]:
        """The last-epoch metrics that any trial has, sorted."""
        return sorted({name for trial in self.trials for name in trial.metrics})

    def with_metric(self, metric: str) -> "Results":
        """The same results with another metric in the cells.

        Raises:
            ReportError: no trial has the metric.
        """
        known = [name for name in self.metrics if name != "lr"]
        known += [name.replace("error", "accuracy") for name in known if name.endswith("error")]
        if metric not in known:
            hint = did_you_mean(metric, known, otherwise="")
            there = ", ".join(known) if known else "none, since no trial has finished an epoch"
            raise ReportError(
                f"metric must be one that was measured, but got {metric!r}{hint or ';'} there are: {there}"
            )
        return replace(self, header=replace(self.header, metric=metric))


def _placed(entry: TrialEntry, axes: Axes, outcome: Outcome) -> PlacedTrial:
    return PlacedTrial(
        trial_id=entry.trial_id,
        setting_id=entry.setting_id,
        seed=entry.seed,
        status=outcome.status,
        epoch=int(outcome.record.get("epoch", 0)),
        axes=axes,
        metrics=_metrics(outcome.record),
        defaults={axis: axis_text(value) for axis, value in entry.defaults.items() if axes.get(axis) is None},
        parameters=entry.parameters,
        multiply_accumulates=entry.multiply_accumulates,
        seconds=outcome.seconds,
        is_compiled=outcome.is_compiled,
    )


def _metrics(record: Record) -> dict[str, float]:
    """Everything in a record except the epoch number, the speed and the layers."""
    left_out = (TIME, LAYERS)
    return {key: float(value) for key, value in record.items() if key != "epoch" and not key.startswith(left_out)}
