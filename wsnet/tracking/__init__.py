"""MLflow as a mirror of a sweep's directories, never a gate. Importing this does not import mlflow."""

from wsnet.tracking.client import default_tracking_uri
from wsnet.tracking.mirror import Mirror

__all__ = ["Mirror", "default_tracking_uri"]
