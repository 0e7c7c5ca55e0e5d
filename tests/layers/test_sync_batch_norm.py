"""Two real processes normalize a batch as one process does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.layers import sync_child
from tests.layers.formulas import C, assert_same_with_gradients, images, made, per_channel
from wsnet.config.norm import SyncBatchNormConfig
from wsnet.layers import initialize_from_data

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    """What each of two processes, this one and a child, found."""
    folder = tmp_path_factory.mktemp("sync")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    store, result = str(folder / "store"), str(folder / "result")
    command = [sys.executable, sync_child.__file__, store, result]
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        first = sync_child.worker(0, store)
        _, errors = child.communicate(timeout=120)
    finally:
        child.kill()
    assert child.returncode == 0, errors
    return [first, torch.load(result)]


@pytest.mark.slow
def test_two_workers_find_what_one_finds_with_the_whole_batch(workers: list[dict[str, Tensor]]) -> None:
    model, batch = sync_child.network(), sync_child.batch()
    alone = sync_child.result(model, batch, sync_child.weights(), 1 / len(batch))
    first, second = workers
    torch.testing.assert_close(torch.cat([first.pop("y"), second.pop("y")]), alone.pop("y"))
    # Each worker's loss is twice its share of the mean loss.
    torch.testing.assert_close(torch.cat([first.pop("x"), second.pop("x")]) / 2, alone.pop("x"))
    assert len(alone) == 2 * 6 + 2 * 3  # 6 parameters with gradients; mean, variance and count of 2 norms
    for name, value in alone.items():
        for worker in workers:
            torch.testing.assert_close(worker[name], value, msg=name)


@pytest.mark.slow
def test_data_dependent_initialization_sees_the_whole_batch(workers: list[dict[str, Tensor]]) -> None:
    model = sync_child.normalized()
    initialize_from_data(model, sync_child.batch())
    for name, value in model.state_dict().items():
        for worker in workers:
            torch.testing.assert_close(worker[f"initialized.{name}"], value)


def test_one_worker_has_plain_batch_norm() -> None:
    norm, plain = made(SyncBatchNormConfig(name="sync_batch", eps=1e-3)), nn.BatchNorm2d(C, eps=1e-3).double()
    plain.load_state_dict(norm.state_dict())
    assert torch.equal(norm(images()), plain(images()))
    assert torch.equal(norm.eval()(images()), plain.eval()(images()))
    assert norm.state_dict().keys() == plain.state_dict().keys()
    torch.testing.assert_close(norm.state_dict(), plain.state_dict(), rtol=0, atol=0)


def test_values_and_gradients_are_those_of_the_formula() -> None:
    norm = made(SyncBatchNormConfig(name="sync_batch"))

    def formula(x: Tensor) -> Tensor:
        mean = x.mean((0, 2, 3), keepdim=True)
        std = ((x - mean).square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()
        return (x - mean) / std * per_channel(norm.weight) + per_channel(norm.bias)

    assert_same_with_gradients(norm, formula, images())
