"""Ghost batch norm is batch norm of one sub-batch after the other."""

import pytest
import torch
from torch import Tensor, nn

from tests.layers.formulas import C, assert_same_with_gradients, drawn, images, made
from wsnet.config.norm import GhostBatchNormConfig
from wsnet.layers import GhostBatchNorm2d


def one_after_the_other(norm: GhostBatchNorm2d, size: int) -> tuple[nn.BatchNorm2d, list[Tensor]]:
    """Plain batch norm with the same parameters, and what it gives for sub-batches."""
    plain = nn.BatchNorm2d(C, eps=norm.eps, momentum=norm.momentum).double()
    plain.load_state_dict(norm.state_dict())
    return plain, [plain(part) for part in images(12).split(size)]


@pytest.mark.parametrize("size", [1, 3, 4, 5, 12, 20])
def test_values_and_gradients_are_those_of_batch_norm_by_sub_batches(size: int) -> None:
    norm = made(GhostBatchNormConfig(name="ghost_batch", ghost_size=size, eps=1e-3))

    def formula(x: Tensor) -> Tensor:
        parts = []
        for part in x.split(size):
            mean = part.mean((0, 2, 3), keepdim=True)
            var = (part - mean).square().mean((0, 2, 3), keepdim=True)
            parts.append((part - mean) / (var + 1e-3).sqrt())
        return torch.cat(parts) * norm.weight[:, None, None] + norm.bias[:, None, None]

    assert_same_with_gradients(norm, formula, images(12))


@pytest.mark.parametrize("size", [1, 3, 4, 5, 12, 20])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_running_statistics_are_those_of_sub_batches_in_order(size: int, memory_format: torch.memory_format) -> None:
    norm = made(GhostBatchNormConfig(name="ghost_batch", ghost_size=size, momentum=0.3))
    plain, outputs = one_after_the_other(norm, size)
    found = norm(images(12).to(memory_format=memory_format))
    torch.testing.assert_close(found, torch.cat(outputs))
    assert found.is_contiguous(memory_format=memory_format)
    assert norm.state_dict().keys() == plain.state_dict().keys()
    torch.testing.assert_close(norm.state_dict(), plain.state_dict())
    assert norm.num_batches_tracked == -(-12 // size)


def test_evaluation_is_batch_norms_and_changes_nothing() -> None:
    norm = made(GhostBatchNormConfig(name="ghost_batch", ghost_size=4))
    norm(images(12))
    plain = nn.BatchNorm2d(C).double()
    plain.load_state_dict(norm.state_dict())
    assert torch.equal(norm.eval()(images(12)), plain.eval()(images(12)))
    torch.testing.assert_close(norm.state_dict(), plain.state_dict(), rtol=0, atol=0)


def test_a_sub_batch_with_a_single_value_per_channel_is_refused() -> None:
    norm = drawn(GhostBatchNorm2d(C, 2))
    norm(images(4)[:, :, :1, :1])
    for size, count in ((2, 3), (2, 1), (1, 4)):
        norm = drawn(GhostBatchNorm2d(C, size))
        with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
            norm(images(count)[:, :, :1, :1])
