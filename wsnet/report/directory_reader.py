"""Results from the directories of a sweep."""

from wsnet.report.results import Header, Results, Trial, last_values
from wsnet.storage import Folder, Manifest, trial_directory
from wsnet.tracking import tags

__all__ = ["read_directory"]


def read_directory(folder: Folder) -> Results:
    """Read a sweep's folder.

    Raises:
        StorageError: it holds no sweep.
    """
    manifest = Manifest.read(folder)
    started = set((folder / "trials").names())
    trials = []
    for order, entry in enumerate(manifest.trials):
        if entry.trial_id not in started:
            continue
        directory = trial_directory(folder, entry.trial_id)
        status = directory.status()
        if status is None:
            continue
        records = directory.records()
        trials.append(
            Trial(
                trial_id=entry.trial_id,
                setting_id=entry.setting_id,
                seed=entry.seed,
                status=status.status,
                order=order,
                epoch=int(records[-1][tags.EPOCH]) if records else 0,
                places=entry.places,
                metrics=last_values(records[-1]) if records else {},
            )
        )
    return Results.of(Header.from_tags(manifest.name, tags.experiment_tags(manifest)), trials)
