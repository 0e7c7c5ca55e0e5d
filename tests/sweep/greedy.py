"""A norm for which the GPU has no memory, always or only the first time: as torch says it, wherever it runs."""

from pathlib import Path

import torch
from torch import Tensor, nn


class Greedy(nn.Module):
    """Does nothing, until memory is out in the second step; only once if it is given a file to mark that with."""

    def __init__(self, num_features: int, mark: str = "") -> None:
        super().__init__()
        self.mark, self.calls = mark, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += self.training and len(x) in (4, 8)  # Planning a sweep tries it with fewer images.
        if self.calls == 2 and not (self.mark and Path(self.mark).exists()):
            if self.mark:
                Path(self.mark).touch()
            raise torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB of which "
                "1.19 GiB is free."
            )
        return x * 1.0
