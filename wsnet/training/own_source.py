"""The source of a trial's own norm, kept beside its results: they can be had again when the file has gone on."""

from pathlib import Path

from wsnet.config import TrialConfig
from wsnet.config.norm import OwnNormConfig
from wsnet.config.own_class import read_source
from wsnet.storage import Folder
from wsnet.training.errors import TrialError

__all__ = ["with_its_source"]


def with_its_source(config: TrialConfig, folder: Folder) -> TrialConfig:
    """Copy the file of an own norm into the trial's folder, and point the configuration at the copy.

    Args:
        config: a trial.
        folder: where its `trial.yaml` is going to lie; the copy's place is relative to that.

    Raises:
        TrialError: the file is not what it was when the trial was planned.
    """
    norm = config.model.norm
    if not isinstance(norm, OwnNormConfig):
        return config
    name = Path(norm.source_file).name
    try:
        folder.write(name, read_source(norm))
    except ValueError as error:
        raise TrialError(str(error)) from None
    norm = norm.model_copy(update={"source_file": name})
    return config.model_copy(update={"model": config.model.model_copy(update={"norm": norm})})
