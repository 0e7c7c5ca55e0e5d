"""Norms that hang while they train: asleep, or in C code that holds Python's lock."""

import ctypes
import time
from pathlib import Path

from torch import Tensor, nn

from wsnet.distributed import rank_and_world


class Stalls(nn.Module):
    """Does nothing, until it hangs in the second step; only once if it is given a file to mark that with."""

    def __init__(self, num_features: int, how: str = "never", mark: str = "") -> None:
        super().__init__()
        self.how, self.mark, self.calls = how, mark, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += self.training and len(x) in (4, 8)  # Planning a sweep tries it with fewer images.
        if self.calls == 2 and not (self.mark and Path(self.mark).exists()):
            if self.mark:
                Path(self.mark).touch()
            if self.how == "sleeps":
                time.sleep(1000)
            elif self.how == "holds the lock" or (self.how == "on the second worker" and rank_and_world()[0] == 1):
                time.sleep(1.5)  # Until the first step has been noticed: before it, a trial has more time.
                ctypes.PyDLL(None).sleep(1000)
        return x * 1.0
