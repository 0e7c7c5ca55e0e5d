"""Auxiliary logits count in the loss as in the papers."""

import pytest
import torch
import torch.nn.functional as F

from tests.models.configs import config, network
from wsnet.models import loss_and_logits


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "size", "weight"), [("googlenet", 64, 0.3), ("inception_v3", 299, 0.4)])
def test_auxiliary_losses_are_weighted_as_in_the_paper(architecture: str, size: int, weight: float) -> None:
    model = network(config("torchvision", architecture=architecture), classes=10, shape=(3, size, size))
    x, labels = torch.randn(2, 3, size, size), torch.tensor([3, 7])
    output = model(x)
    loss, logits = loss_and_logits(output, labels)
    assert logits is output[0] and logits.shape == (2, 10)
    expected = F.cross_entropy(output[0], labels) + weight * sum(F.cross_entropy(o, labels) for o in output[1:])
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert isinstance(model.eval()(x), torch.Tensor)


def test_plain_logits_are_plain_cross_entropy() -> None:
    logits, labels = torch.randn(4, 10), torch.arange(4)
    loss, same = loss_and_logits(logits, labels)
    assert same is logits and torch.equal(loss, F.cross_entropy(logits, labels))
