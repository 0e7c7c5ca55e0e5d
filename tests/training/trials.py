"""Small trials, real processes that train them, and what of two results must be equal."""

import multiprocessing
import os
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from tests.training import child
from wsnet.config import TrialConfig
from wsnet.config.reading.own_files import with_files
from wsnet.storage import Folder
from wsnet.storage.trial_directory import Record
from wsnet.training import Checkpoint, Result, Trial, fit

ROOT = Path(__file__).parents[2]


def config(**sections: Any) -> TrialConfig:
    """A ResNet-8 on digits that trains an epoch in a tenth of a second; `sections` are merged into it."""
    data: dict[str, Any] = {
        "data": {"name": "digits", "validation": 100, "limit": 200, "augment": {"crop_padding": 1, "flip": True}},
        "model": {"name": "cifar_resnet", "depth": 8, "width": 4},
        "optim": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4, "schedule": {"name": "cosine"}},
        "train": {"epochs": 3, "batch_size": 32},
        "execution": {"threads": 1, "device": "cpu"},
    }
    for name, options in sections.items():
        data[name] = {**data[name], **options} if isinstance(options, dict) else options
    return TrialConfig.model_validate(with_files(data))


def trial(**sections: Any) -> Trial:
    """The trial of `config`."""
    return Trial.prepare(config(**sections))


def trained(of: Trial, folder: Path | Folder, **options: Any) -> Result:
    """`fit` with nobody listening."""
    folder = folder if isinstance(folder, Folder) else Folder(folder)
    return fit(of, checkpoint_dir=folder, **{"report": lambda record: None, **options})


def all_trained(trials: Mapping[str, Trial], folder: Path) -> Path:
    """The folder, with a folder of each trial in it, trained without a stop."""
    for name, of in trials.items():
        trained(of, folder / name)
    return folder


def numbers(records: list[Record]) -> list[Record]:
    """Records without the times."""
    return [{key: value for key, value in record.items() if not key.startswith("time/")} for record in records]


def last(folder: Path, name: str = "last.pt") -> Checkpoint:
    """A checkpoint of a trial's directory."""
    return Checkpoint.load(folder / name)


def assert_same(one: Any, other: Any) -> None:
    """Nested data with tensors is equal to the last bit."""
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert_same(first, second)
    else:
        assert one == other


def assert_same_checkpoint(one: Checkpoint, other: Checkpoint) -> None:
    """Two checkpoints hold the same trial, weights and optimizer state, and records that differ in times only."""
    assert (one.trial_id, one.epoch) == (other.trial_id, other.epoch)
    assert_same(one.model, other.model)
    assert_same(one.optimizer, other.optimizer)
    assert_same(one.ema, other.ema)
    assert numbers(one.records) == numbers(other.records)


def spec(of: TrialConfig, folder: Path, **options: Any) -> dict[str, Any]:
    """What child.py is to train; see there for the options."""
    return {"config": of.model_dump(mode="json"), "folder": str(folder), **options}


class Child:
    """A process that trains trials; see child.py.

    It is forked from a server that has imported everything: an import of torch takes longer than these trainings.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["pytest", "tests.training.child"])
        self._errors, errors = context.Pipe(duplex=False)
        self.process = context.Process(target=work, args=(job, errors))
        with mock.patch.dict(os.environ, environment()):
            self.process.start()
        errors.close()

    def kill(self) -> int | None:
        """Kill it at once; returns its exit code, as of a `Process`."""
        self.process.kill()
        self.process.join()
        return self.process.exitcode

    def finish(self) -> None:
        """Wait for it; it ends well."""
        self.process.join(timeout=120)
        assert self.process.exitcode == 0, self._errors.recv() if self._errors.poll() else self.process


def start_child(*specs: dict[str, Any], rank: int = 0, world: int = 1, store: Path | None = None) -> Child:
    """Start a process that trains trials one after the other."""
    group = {"rank": rank, "world": world, "store": str(store)} if store else None
    return Child({"specs": specs, "group": group})


def work(job: dict[str, Any], errors: Connection) -> None:
    """What a child does."""
    try:
        child.main(job)
    except BaseException:
        errors.send(traceback.format_exc())
        raise


def environment() -> dict[str, str]:
    """Of a process of its own: it finds the package, and takes one thread until it is told otherwise."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def assert_done(*children: Child) -> None:
    """Wait for children; all of them end well."""
    for each in children:
        each.finish()
