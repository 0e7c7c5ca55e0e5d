"""What is on disk or in a bucket: folders, a trial's directory, a sweep's manifest. Imports no torch, ray, mlflow."""

from wsnet.storage.folder import DamagedFile, Folder, StorageError
from wsnet.storage.manifest import Manifest, TrialEntry, trial_directory
from wsnet.storage.rungs import RungJournal, Verdict
from wsnet.storage.stops import Stops
from wsnet.storage.trial_directory import STOPPED_BY_USER, Outcome, Status, TrialDirectory

__all__ = [
    "STOPPED_BY_USER",
    "DamagedFile",
    "Folder",
    "Manifest",
    "Outcome",
    "RungJournal",
    "Status",
    "Stops",
    "StorageError",
    "TrialDirectory",
    "TrialEntry",
    "Verdict",
    "trial_directory",
]
