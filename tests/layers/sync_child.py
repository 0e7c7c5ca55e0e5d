"""The second of two processes that share a batch: `python sync_child.py store result`; the first is the test's own."""

import sys
from datetime import timedelta

import torch
from torch import Tensor, nn
from torch import distributed as dist

from wsnet.config.norm import NoNormConfig, SyncBatchNormConfig
from wsnet.layers import Layers, initialize, initialize_from_data

SHARES = (3, 2)


def network() -> nn.Module:
    """Two convolutions with norms, in float64, with scales and shifts that are not one and zero."""
    layers = Layers(SyncBatchNormConfig(name="sync_batch", momentum=0.3))
    model = nn.Sequential(
        layers.conv(2, 4, 3), layers.norm(4, size=(5, 4)), nn.ReLU(), layers.conv(4, 3, 3), layers.norm(3, size=(5, 4))
    ).double()
    initialize(model, 0)
    for norm in (model[1], model[4]):
        nn.init.uniform_(norm.weight, 0.5, 1.5, generator=torch.Generator().manual_seed(1))
        nn.init.uniform_(norm.bias, 0.5, 1.5, generator=torch.Generator().manual_seed(2))
    return model


def normalized() -> nn.Module:
    """Two normalized convolutions with biases, to be initialized from data."""
    layers = Layers(NoNormConfig(name="none"), "normalized", weight_init="data_dependent")
    model = nn.Sequential(layers.conv(2, 4, 3), nn.ReLU(), layers.conv(4, 3, 3)).double()
    initialize(model, 0)
    return model


def batch() -> Tensor:
    """The whole batch."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(sum(SHARES), 2, 5, 4, generator=generator, dtype=torch.float64) * 2 + 1


def weights() -> Tensor:
    """The loss is the mean over images of the output times this."""
    generator = torch.Generator().manual_seed(4)
    return torch.randn(sum(SHARES), 3, 5, 4, generator=generator, dtype=torch.float64)


def result(model: nn.Module, x: Tensor, g: Tensor, scale: float) -> dict[str, Tensor]:
    """Output, gradients and state after one training step's backward."""
    x = x.clone().requires_grad_()
    y = model(x)
    ((y * g).sum() * scale).backward()
    assert x.grad is not None
    gradients = {f"grad.{name}": value.grad for name, value in model.named_parameters() if value.grad is not None}
    return {"y": y.detach(), "x": x.grad, **gradients, **model.state_dict()}


def worker(rank: int, store: str) -> dict[str, Tensor]:
    """What one of the processes finds; they meet at the file `store`."""
    world = len(SHARES)
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=world, timeout=timedelta(seconds=120)
    )
    try:
        first = sum(SHARES[:rank])
        mine = slice(first, first + SHARES[rank])
        # As the training loop weighs: the mean over workers is the mean over the batch.
        found = result(network(), batch()[mine], weights()[mine], world / sum(SHARES))
        for name, value in found.items():
            if name.startswith("grad."):  # As DistributedDataParallel, whose first use in a process takes seconds.
                dist.all_reduce(value)
                value /= world
        initialized = normalized()
        initialize_from_data(initialized, batch()[mine])
        dist.barrier()
    finally:
        dist.destroy_process_group()
    return found | {f"initialized.{name}": value for name, value in initialized.state_dict().items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.save(worker(1, sys.argv[1]), sys.argv[2])
