"""MLflow as a mirror of a sweep's directories, for which no trial waits. Importing this does not import mlflow."""

from wsnet.tracking.client import TrackingError, check_tracking_uri, default_tracking_uri, without_password
from wsnet.tracking.mirror import Mirror
from wsnet.tracking.read import MirroredSweep, NotASweep, OtherRun, read_other, read_sweep
from wsnet.tracking.report_run import report_files, upload_report
from wsnet.tracking.views import address, view_links

__all__ = [
    "Mirror",
    "MirroredSweep",
    "NotASweep",
    "OtherRun",
    "TrackingError",
    "address",
    "check_tracking_uri",
    "default_tracking_uri",
    "read_other",
    "read_sweep",
    "report_files",
    "upload_report",
    "view_links",
    "without_password",
]
