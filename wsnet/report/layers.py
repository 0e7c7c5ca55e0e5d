"""Layer measurements (`train.diagnostics`) by setting: medians over seeds of every quantity, layer and epoch."""

import csv
import io
import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

from wsnet.report import ReportError
from wsnet.report.header import axes_as_text
from wsnet.report.tables.text import label_text
from wsnet.storage import DamagedFile, Folder, Manifest, TrialDirectory, trial_directory
from wsnet.storage.trial_directory import LAYERS, Record

__all__ = ["LayersOfSetting", "layers_csv", "read_layers", "trials_in"]

LayerKey = tuple[str, str, int]
"""(quantity, layer, epoch)"""


@dataclass(frozen=True, kw_only=True)
class LayersOfSetting:
    """The measurements of one setting.

    Attributes:
        name: identity of the setting, or the folder of a trial trained outside a sweep.
        label: readable description.
        layers: quantity to the layers that have it, from the input to the output.
        medians: over seeds; infinite where not a finite number.
        seeds: number of seeds behind each median.
    """

    name: str
    label: str
    layers: dict[str, list[str]]
    medians: dict[LayerKey, float]
    seeds: dict[LayerKey, int]

    @property
    def epochs(self) -> int:
        """The last epoch measured."""
        return max(epoch for _, _, epoch in self.medians)


def read_layers(folder: Folder) -> list[LayersOfSetting]:
    """Read a sweep's folder, a folder of trials trained outside a sweep, or the folder of one such trial.

    Returns:
        the settings that have measurements, in the order of the sweep file, or of the folders' names.

    Raises:
        ReportError: there are none.
        StorageError: the folder's `sweep.json` is not a manifest.
    """
    found = _of_sweep(folder) if folder.exists("sweep.json") else _of_trials(folder)
    if not found:
        raise ReportError(
            f"no trial in {folder.location!r} has measured its layers; train with train.diagnostics: true "
            "(finished trials are not trained again for this)"
        )
    return found


def trials_in(folder: Folder) -> list[Folder]:
    """Folders of trials trained outside a sweep: this one, or those directly below it."""
    if folder.exists("records.jsonl"):
        return [folder]
    return [folder / name for name in sorted(folder.names()) if (folder / name).exists("records.jsonl")]


def layers_csv(settings: Iterable[LayersOfSetting]) -> str:
    """One row for each setting, quantity, layer and epoch; a median that is not finite is written as `inf`."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["setting_id", "setting", "quantity", "layer", "depth", "epoch", "n", "median"])
    for setting in settings:
        for (quantity, layer, epoch), value in setting.medians.items():
            depth, n = setting.layers[quantity].index(layer), setting.seeds[quantity, layer, epoch]
            writer.writerow([setting.name, setting.label, quantity, layer, depth, epoch, n, f"{value:.6g}"])
    return stream.getvalue()


def _of_sweep(folder: Folder) -> list[LayersOfSetting]:
    manifest = Manifest.read(folder)
    started = set((folder / "trials").names())
    records: dict[str, list[list[Record]]] = {}
    labels: dict[str, str] = {}
    for entry in manifest.trials:
        axes = axes_as_text(entry.axes, manifest.axes)
        labels.setdefault(entry.setting_id, label_text(tuple(axes.values()), tuple(axes)))
        seeds = records.setdefault(entry.setting_id, [])
        if entry.trial_id in started:
            with suppress(DamagedFile):  # The table counts the trial as damaged.
                seeds.append(trial_directory(folder, entry.trial_id).records())
    found = [_medians(setting, labels[setting], seeds) for setting, seeds in records.items()]
    return [setting for setting in found if setting.medians]


def _of_trials(folder: Folder) -> list[LayersOfSetting]:
    named = [(place.location.rstrip("/").rpartition("/")[2], place) for place in trials_in(folder)]
    found = [_medians(name, name, [TrialDirectory(place).records()]) for name, place in named]
    return [setting for setting in found if setting.medians]


def _medians(name: str, label: str, seeds: list[list[Record]]) -> LayersOfSetting:
    layers: dict[str, dict[str, None]] = {}  # Ordered sets.
    values: dict[LayerKey, list[float]] = {}
    for record in (record for records in seeds for record in records):
        for key, value in record.items():
            if key.startswith(LAYERS):
                layer, _, quantity = key.removeprefix(LAYERS).rpartition("/")
                layers.setdefault(quantity, {})[layer] = None
                measured = values.setdefault((quantity, layer, int(record["epoch"])), [])
                measured.append(value if math.isfinite(value) else math.inf)
    return LayersOfSetting(
        name=name,
        label=label,
        layers={quantity: list(names) for quantity, names in layers.items()},
        medians={key: median(seen) for key, seen in values.items()},
        seeds={key: len(seen) for key, seen in values.items()},
    )
