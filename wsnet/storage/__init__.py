"""What is on disk or in a bucket: folders, a trial's directory, a sweep's manifest. Imports no torch, ray, mlflow."""

from wsnet.storage.first_report import describe_changes, note_first_report, since_first_report
from wsnet.storage.folder import DamagedFile, Folder, StorageError
from wsnet.storage.lease import Holder, Lease, LeaseLost
from wsnet.storage.manifest import Manifest, TrialEntry, trial_directory
from wsnet.storage.outage import StorageLost, patient
from wsnet.storage.rungs import RungJournal, Verdict
from wsnet.storage.stops import Stops
from wsnet.storage.suggestions import Suggestions
from wsnet.storage.trial_directory import STOPPED_BY_USER, Outcome, Status, TrialDirectory

__all__ = [
    "STOPPED_BY_USER",
    "DamagedFile",
    "Folder",
    "Holder",
    "Lease",
    "LeaseLost",
    "Manifest",
    "Outcome",
    "RungJournal",
    "Status",
    "Stops",
    "StorageError",
    "StorageLost",
    "Suggestions",
    "TrialDirectory",
    "TrialEntry",
    "Verdict",
    "describe_changes",
    "note_first_report",
    "patient",
    "since_first_report",
    "trial_directory",
]
