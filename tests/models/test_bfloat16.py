"""A training step and an evaluation in bfloat16 are those in float32 but for rounding, whatever the network."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.models.configs import NORMS, config, network
from tests.models.small import ALL, SMALL, WEIGHTS
from wsnet.config.architectures import ModelConfig
from wsnet.layers import LayerRandomness

IMAGES = 16

MARKS = {
    name: pytest.mark.slow if name in ("alexnet", "resnet-18") else [pytest.mark.slow, pytest.mark.exhaustive]
    for name in ALL
    if name not in SMALL
}
"""The largest networks take 10 to 20 seconds."""

CASES = [
    *(pytest.param("cifar_resnet-B", norm, weight, id=f"{norm}-{weight}") for norm in NORMS for weight in WEIGHTS),
    *(
        pytest.param(name, "batch", WEIGHTS[number % 3], id=name, marks=MARKS.get(name, []))
        for number, name in enumerate(ALL)
        if name != "cifar_resnet-B"
    ),
]


def trained(
    model: ModelConfig, shape: tuple[int, int, int], lr: float, *, mixed: bool
) -> tuple[nn.Module, Tensor, Tensor]:
    """The network after a step on random images, its loss before that, and its logits in evaluation after it."""
    made = network(model, classes=10, shape=shape).to(memory_format=torch.channels_last).train()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # After one step, a deep network's values would overflow in evaluation.
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(IMAGES, *shape, generator=generator).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(IMAGES) % 10
    LayerRandomness(made, 0).set_step(0, 0)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        loss = F.cross_entropy(made(images), labels)
    loss.backward()
    torch.optim.SGD(made.parameters(), lr=lr).step()
    made.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        logits = made(images)
    return made, loss.detach(), logits.float()


@pytest.mark.parametrize(("architecture", "norm", "weight"), CASES)
def test_a_step_and_an_evaluation_are_near_those_in_float32(architecture: str, norm: str, weight: str) -> None:
    options: dict[str, Any] = dict(ALL[architecture][0])
    shape = ALL[architecture][1]
    model = config(options.pop("name"), norm, weight=weight, **options)
    lr = 1e-3 if architecture in SMALL else 1e-6  # The first gradients of deep networks are large and chaotic.
    (mixed, loss, logits), (plain, exact_loss, exact) = (trained(model, shape, lr, mixed=how) for how in (True, False))
    assert float((loss - exact_loss).abs()) < 0.03 * float(exact_loss)
    assert logits.isfinite().all()
    # Through 50 layers, each of which normalizes a few values of its batch, rounding to 8 bits grows to a third.
    near = 0.5 if "50" in architecture else 0.1
    assert float((logits - exact).norm()) < near * float(exact.norm())
    for name, buffer in mixed.named_buffers():
        wanted = plain.get_buffer(name)
        assert buffer.dtype == wanted.dtype != torch.bfloat16, name
        if name.endswith(("running_mean", "running_var", "running_std")):
            scale = max(float(wanted.norm()), 0.1 * buffer.numel() ** 0.5)  # Some means are zero.
            assert buffer.isfinite().all(), name
            # In such deep networks the activations themselves differ by as much; tests/layers has each norm alone.
            assert "50" in architecture or float((buffer - wanted).norm()) < near * scale, name
    for name, parameter in mixed.named_parameters():
        assert parameter.dtype == torch.float32 and parameter.isfinite().all(), name
