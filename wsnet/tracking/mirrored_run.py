"""What MLflow holds of one run, so that only what it lacks is uploaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wsnet.storage.trial_directory import STOPPED_BY_USER
from wsnet.tracking import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["RUN_STATUS", "MirroredRun"]

RUN_STATUS = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "diverged": "FAILED",
    "failed": "FAILED",
    "stopped": "KILLED",
}
"""MLflow's status of a run, by that of its trial."""


@dataclass
class MirroredRun:
    """What MLflow holds of one trial, of one setting, or of the report.

    Attributes:
        run_id: MLflow's id.
        name: as its tables show it.
        start: when the run was created, in ms.
        status: MLflow's status.
        epoch: last epoch of a trial; 0 where there is none.
        latest: timestamp of its newest metric, in ms.
        tags: by name.
        params: names of its parameters.
        finals: names of a trial's last values.
    """

    run_id: str
    name: str
    start: int
    status: str
    epoch: int = 0
    latest: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    params: set[str] = field(default_factory=set)
    finals: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, run: "Run") -> "MirroredRun":
        """From MLflow's own object."""
        data = run.data
        return cls(
            run_id=run.info.run_id,
            name=run.info.run_name,
            start=run.info.start_time,
            status=run.info.status,
            epoch=int(data.metrics.get(tags.EPOCH, 0)),
            latest=max((metric.timestamp for metric in data.to_proto().metrics), default=0),
            tags=dict(data.tags),
            params=set(data.params),
            finals={key for key in data.metrics if key.startswith(tags.FINAL)},
        )

    @property
    def complete(self) -> bool:
        """Whether nothing about the trial can change any more; the status tag is written after everything else."""
        status, message = self.tags.get(tags.STATUS), self.tags.get(tags.MESSAGE)
        is_final = status in ("finished", "diverged") or (status == "stopped" and message != STOPPED_BY_USER)
        return is_final and self.status == RUN_STATUS[str(status)]

    def changed(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """Those of the tags that MLflow does not have like this; an absent one is an empty one."""
        return {key: value for key, value in wanted.items() if self.tags.get(key, "") != value}

    def set_tags(self, client: "MlflowClient", wanted: Mapping[str, str]) -> None:
        """Set tags, by at most one call."""
        from mlflow.entities import RunTag

        if changed := self.changed(wanted):
            client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in changed.items()])
            self.tags.update(changed)

    def set_name(self, client: "MlflowClient", name: str) -> None:
        """Rename the run, by at most one call."""
        if self.name != name:
            client.update_run(self.run_id, name=name)
            self.name = name
