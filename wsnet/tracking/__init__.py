"""Copies of a sweep in MLflow and W&B, for which no trial waits. Importing this imports neither mlflow nor wandb."""

from wsnet.tracking.client import TrackingError, check_tracking_uri, default_tracking_uri, without_password
from wsnet.tracking.mirror import Mirror
from wsnet.tracking.mlflow_tracker import MLflow
from wsnet.tracking.read import MirroredSweep, NotASweep, OtherRun, read_other, read_sweep
from wsnet.tracking.report_upload import report_files, upload_report
from wsnet.tracking.tracker import Tracker
from wsnet.tracking.views import address, view_links
from wsnet.tracking.wandb_client import WandbProject, wandb_project
from wsnet.tracking.wandb_tracker import WandB

__all__ = [
    "MLflow",
    "Mirror",
    "MirroredSweep",
    "NotASweep",
    "OtherRun",
    "Tracker",
    "TrackingError",
    "WandB",
    "WandbProject",
    "address",
    "check_tracking_uri",
    "default_tracking_uri",
    "read_other",
    "read_sweep",
    "report_files",
    "upload_report",
    "view_links",
    "wandb_project",
    "without_password",
]
