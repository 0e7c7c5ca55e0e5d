"""A trial: a configuration with its images and its identity."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wsnet.config import ExecutionConfig, TrialConfig, setting_id, trial_id
from wsnet.data import ImageSplits, load
from wsnet.models import pretrained_hash
from wsnet.training.checkpoint import Checkpoint
from wsnet.training.execution import settle

__all__ = ["Trial"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What `fit` trains.

    Attributes:
        config: the configuration; its execution is settled.
        images: the decoded images of the splits.
        workers: processes that train the trial together.
        warm_start: SHA-256 of the file that this trial begins from: pretrained weights, or another trial's checkpoint.
    """

    config: TrialConfig
    images: ImageSplits
    workers: int = 1
    warm_start: str | None = None

    @classmethod
    def prepare(
        cls,
        config: TrialConfig,
        *,
        root: Path | None = None,
        cpus: int | None = None,
        workers: int = 1,
        check: bool = True,
    ) -> "Trial":
        """Load a trial's images and settle its execution.

        Args:
            config: the configuration.
            root: folder of the image sets.
            cpus: CPUs that each worker was given.
            workers: processes that train the trial together.
            check: whether to look at every file of a streamed set for a change.

        Raises:
            DataError: the images are missing or damaged.
            ModelError: the pretrained weights are missing.
            TrialError: the configured device is not there.
        """
        settled = config.model_copy(update={"execution": settle(config.execution, cpus=cpus)})
        images = load(config.data, root=root, check=check)
        return cls(config=settled, images=images, workers=workers, warm_start=pretrained_hash(config.model))

    @property
    def setting_id(self) -> str:
        """Identity of the setting."""
        return setting_id(self.config, **self._beyond_options())

    @property
    def trial_id(self) -> str:
        """Identity of the trial."""
        return trial_id(self.config, **self._beyond_options())

    def executed(self, execution: ExecutionConfig) -> "Trial":
        """The same trial, executed another way."""
        return replace(self, config=self.config.model_copy(update={"execution": execution}))

    def begun_from(self, checkpoint: Checkpoint, sha256: str) -> "Trial":
        """This trial, begun from a checkpoint: another trial's makes it another trial, its own changes nothing."""
        return self if checkpoint.trial_id == self.trial_id else replace(self, warm_start=sha256)

    def _beyond_options(self) -> dict[str, Any]:
        return {"data_hash": self.images.hash, "workers": self.workers, "warm_start": self.warm_start}
