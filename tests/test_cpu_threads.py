"""What changes for a while of how the CPU is used."""

import os
from pathlib import Path

import torch

from wsnet.cpu_threads import busy_cores, cpu_threads


def children() -> set[int]:
    task = Path(f"/proc/{os.getpid()}/task")
    return {int(child) for thread in task.iterdir() for child in (thread / "children").read_text().split()}


def test_cores_are_busy_only_for_a_while() -> None:
    before = children()
    with busy_cores(2):
        assert len(children() - before) == 2
    assert children() == before


def test_threads_are_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    with cpu_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
