"""A sweep's manifest, `sweep.json`: which trials belong to it, along which axes, and how to report them."""

import json
from collections import Counter
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from wsnet.called import program
from wsnet.storage.find import meant_sweep
from wsnet.storage.folder import Folder, StorageError
from wsnet.storage.trial_directory import TrialDirectory

__all__ = ["Manifest", "TrialEntry", "trial_directory"]

AxisValue = Any
"""A value on an axis: a number, a string, a boolean, a list of these, or None where the axis does not apply."""


@dataclass(frozen=True, kw_only=True)
class TrialEntry:
    """One trial of a sweep.

    Attributes:
        trial_id: identity of the setting with its seed; the name of its directory.
        setting_id: identity of the setting.
        seed: the seed.
        name: short name for people, unique in the sweep, such as `ws-b32-s0`.
        axes: what varies in the sweep, as dotted key to value; keys that the trial does not have are absent.
        also: the axes of further combinations that are this same trial. A report shows the trial at each of them.
        epochs: of its whole training; None in manifests of earlier versions.
        defaults: the values of axes that are not in `axes` because its case leaves them at their defaults.
        parameters: trained values of its model; None in manifests of earlier versions.
        multiply_accumulates: of one image's forward pass; None in manifests of earlier versions.
        epoch_cost: how long an epoch takes relative to those of other trials; None in manifests of earlier versions.
    """

    trial_id: str
    setting_id: str
    seed: int
    name: str
    axes: dict[str, AxisValue]
    also: list[dict[str, AxisValue]] = field(default_factory=list)
    epochs: int | None = None
    defaults: dict[str, AxisValue] = field(default_factory=dict)
    parameters: int | None = None
    multiply_accumulates: int | None = None
    epoch_cost: float | None = None

    @property
    def places(self) -> list[dict[str, AxisValue]]:
        """`axes` and `also`."""
        return [self.axes, *self.also]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a report needs to know about a sweep.

    Attributes:
        name: the sweep's name.
        question: the question in words.
        report: `rows` (dotted keys), `columns` (dotted key or None), `metric` (such as `test/top1_error`), `statistic`;
            `fixed` (what no axis varies, as dotted key to value); where they apply also `learning_rate`,
            `evaluation_statistics`, `published`, `departures`, `select`, `tuned`, `compare`, `after_report`,
            `test_images`.
        axes: dotted keys that vary, in the order of the sweep file.
        trials: every trial, in the order of the sweep file.
    """

    name: str
    question: str
    report: dict[str, Any]
    axes: list[str]
    trials: list[TrialEntry]

    @property
    def seeds(self) -> int:
        """Number of seeds of a setting; the largest one if settings differ."""
        return max(Counter(entry.setting_id for entry in self.trials).values(), default=0)

    @property
    def column_values(self) -> list[AxisValue]:
        """The distinct values on the column axis, in the order of the sweep file."""
        columns = self.report.get("columns")
        values = [axes[columns] for entry in self.trials for axes in entry.places if columns in axes]
        return list({json.dumps(value): value for value in values}.values())  # A value may be a list: not hashable.

    def write(self, folder: Folder) -> None:
        """Write `sweep.json` into the sweep's folder."""
        folder.write("sweep.json", self._text().encode())

    def _text(self) -> str:
        """JSON with a line for each trial: quick to write, and readable with ten thousand trials."""
        trials = ",\n".join(f"  {json.dumps(vars(trial))}" for trial in self.trials)
        rest = json.dumps({key: value for key, value in vars(self).items() if key != "trials"}, indent=1)
        return rest.removesuffix("\n}") + f',\n "trials": [\n{trials}\n ]\n}}\n'

    @classmethod
    def read(cls, folder: Folder) -> "Manifest":
        """Read a sweep's manifest.

        Raises:
            StorageError: the folder has no `sweep.json`, or it is not a manifest.
        """
        data = folder.read("sweep.json")
        if data is None:
            hint = meant_sweep(folder.location) or f"; give a folder that {program('run')} wrote"
            raise StorageError(f"no sweep in {folder.location!r}: it holds no sweep.json{hint}")
        try:
            found = _checked(cls, json.loads(data))
            return cls(**{**found, "trials": [TrialEntry(**_checked(TrialEntry, trial)) for trial in found["trials"]]})
        except (ValueError, TypeError) as error:
            text = f"{folder.location}/sweep.json is not a sweep's manifest: {error}"
            hint = "its sweep's command writes it anew and keeps all results"
            raise StorageError(f"{text}; it is damaged, or of another version of wsnet: {hint}") from None


def _checked(kind: type[Manifest] | type[TrialEntry], found: Any) -> dict[str, Any]:
    """What was read, if it is a mapping with the fields of such a class."""
    what = "a trial" if kind is TrialEntry else "it"
    if not isinstance(found, dict):
        raise ValueError(f"{what} must be a mapping, but is {json.dumps(found)[:60]}")
    known = {each.name: each for each in fields(kind)}
    wanted = [name for name, each in known.items() if each.default is MISSING and each.default_factory is MISSING]
    if missing := [name for name in wanted if name not in found]:
        raise ValueError(f"{what} has no {', '.join(missing)}")
    if unknown := sorted(found.keys() - known.keys()):
        raise ValueError(f"{what} has the unknown {', '.join(unknown)}")
    return found


def trial_directory(sweep: Folder, trial_id: str) -> TrialDirectory:
    """The directory of one trial of a sweep."""
    return TrialDirectory(sweep / "trials" / trial_id)
