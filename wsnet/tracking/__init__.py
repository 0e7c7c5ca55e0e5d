"""MLflow as a mirror of a sweep's directories, for which no trial waits. Importing this does not import mlflow."""

from wsnet.tracking.client import default_tracking_uri
from wsnet.tracking.mirror import Mirror
from wsnet.tracking.read import MirroredSweep, TrackingError, read_sweep

__all__ = ["Mirror", "MirroredSweep", "TrackingError", "default_tracking_uri", "read_sweep"]
