"""What a process does that trials.start_child starts: it trains trials.

Options of a spec: `pause`, seconds of sleep after each step; `reports`, a file for the records that `report` is told
of; `stop_after`, an epoch whose report raises; `stop_at`, an epoch and a step after which it ends; `threads`, by rank.
"""

import contextlib
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist

from wsnet.config import TrialConfig
from wsnet.distributed import sum_over_workers
from wsnet.storage import Folder
from wsnet.training import Trial, fit
from wsnet.training.meter import TrainingMeter
from wsnet.training.streams import average_buffers


class Stopped(Exception):
    """What a scheduler raises in `report`."""


def train(spec: dict[str, Any], rank: int, world: int) -> None:
    if "threads" in spec:
        spec["config"]["execution"]["threads"] = spec["threads"][rank]
    trial = Trial.prepare(TrialConfig.model_validate(spec["config"]), workers=world)
    reported = []

    def report(record: dict[str, float]) -> None:
        reported.append(record)
        if record["epoch"] == spec.get("stop_after"):
            raise Stopped

    def watch(epoch: int, step: int, *rest: Any) -> None:
        time.sleep(spec.get("pause", 0))
        if [epoch, step] == spec.get("stop_at"):
            raise Stopped

    with contextlib.suppress(Stopped):
        fit(
            trial,
            report=report,
            checkpoint_dir=Folder(spec["folder"]),
            watch=watch,
        )
    if "reports" in spec:
        Path(spec["reports"].format(rank=rank)).write_text(json.dumps(reported))


def collective(rank: int) -> dict[str, Any]:
    """What the collective functions make of values that depend on the rank."""
    norm, total = torch.nn.BatchNorm1d(2), torch.tensor([rank + 1.0])
    norm.running_mean += torch.tensor([1.0, 5.0]) * (rank + 1)
    norm.num_batches_tracked += 7
    average_buffers(norm)
    sum_over_workers(total)
    counted = int(norm.num_batches_tracked)
    found = {"running_mean": norm.running_mean.tolist(), "num_batches_tracked": counted, "sum": total.item()}
    return {**found, "stops": stops(rank)}


def stops(rank: int) -> int | None:
    """The step, from 1, after which a training ends whose second worker meets an infinite loss in step 30."""
    meter, logits, labels = TrainingMeter(torch.device("cpu")), torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64)
    for step in range(1, 101):
        meter.add(torch.tensor(math.inf if rank == 1 and step == 30 else 1.0), logits, labels)
        if meter.has_diverged():
            return step
    return None


def main(job: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    group = job["group"]
    rank, world = (group["rank"], group["world"]) if group else (0, 1)
    if group:
        dist.init_process_group("gloo", init_method=f"file://{group['store']}", rank=rank, world_size=world)
    for spec in job["specs"]:
        train(spec, rank, world)
    if group:
        Path(f"{group['store']}.{rank}.json").write_text(json.dumps(collective(rank)))
        dist.barrier()
        dist.destroy_process_group()
