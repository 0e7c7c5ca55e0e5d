"""One of two workers with streams of their own: `python online_norm_child.py rank world store result`; see the test."""

import sys

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from wsnet.layers.online_norm import OnlineNorm2d, merged_online_state, online_state, online_states


def network() -> nn.Module:
    """A norm within a network."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), OnlineNorm2d(4, 0.9, 0.8), nn.ReLU(), OnlineNorm2d(4, 0.9, 0.8))


def main() -> None:
    """Train a few steps on images of one's own; keep one's state, the merged one, and one's state after the merge."""
    rank, world, store, result = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    model = network()
    parallel = DistributedDataParallel(model, broadcast_buffers=False)
    for step in range(3):
        images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(10 * rank + step)) + rank
        parallel(images).square().mean().backward()
    own, merged = online_state(model), merged_online_state(online_states(model))
    torch.save({"own": own, "merged": merged, "after": online_state(model)}, f"{result}.{rank}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
