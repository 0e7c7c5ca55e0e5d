"""Online normalization under torch.compile on a CPU: the same kernels, and nothing around them."""

import copy
import re

import pytest
import torch
from torch import Tensor, nn
from torch._inductor.utils import run_and_get_code

from tests.layers.online_norm_reference import error, tensors
from wsnet.layers.online_norm import OnlineNorm2d, kernel

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(kernel.load_library() is None, reason="no C++ compiler"),
]


class Several(nn.Module):
    """Norms of all kinds, one of them called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.scaled = OnlineNorm2d(6, backward_decay=0.9)
        self.clamped = OnlineNorm2d(6, error_compensation="ac", affine=False)
        self.slow = OnlineNorm2d(6, 0.9999, 0.999)
        self.plain = OnlineNorm2d(6, error_compensation="none")

    def forward(self, x: Tensor) -> Tensor:
        first = self.slow(self.clamped(5 * self.scaled(x)))  # Some is clamped.
        return self.plain(first + self.scaled(2 * x))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_all_options_compile_to_the_eager_numbers(layout: torch.memory_format, dtype: torch.dtype) -> None:
    torch._dynamo.reset()
    plain = Several()
    other = copy.deepcopy(plain)
    compiled = torch.compile(other, fullgraph=True)
    bound = 1e-5 if dtype == torch.float32 else 2e-2  # Eager rounds between the layers where fused code need not.
    for seed in range(2):
        x, grad = (t.contiguous(memory_format=layout) for t in tensors((5, 6, 8, 8), seed, dtype))
        results = []
        for model in (plain, compiled):
            leaf = x.clone().requires_grad_()
            out = model(leaf)
            assert out.dtype == dtype and out.is_contiguous(memory_format=layout)
            model.zero_grad()
            out.backward(grad)
            results.append([out, leaf.grad, *(p.grad for p in model.parameters())])
        assert all(error(a, b) < bound for a, b in zip(*reversed(results), strict=True))
        assert all(error(a, b) < bound for a, b in zip(other.buffers(), plain.buffers(), strict=True))
    with torch.no_grad():  # Training mode still moves the statistics.
        assert error(compiled(x), plain(x)) < bound
        assert error(other.scaled.running_mean, plain.scaled.running_mean) < bound


def test_the_compiled_layer_calls_the_kernels_and_copies_nothing() -> None:
    torch._dynamo.reset()
    norm = OnlineNorm2d(4)
    compiled = torch.compile(norm, fullgraph=True)
    x, grad = tensors((5, 4, 8, 8), 0)

    def step() -> None:
        compiled(x.requires_grad_()).backward(grad)

    _, codes = run_and_get_code(step)
    assert len(codes) == 2
    for code, name in zip(codes, ("forward", "backward"), strict=True):
        assert len(re.findall(rf"torch\.ops\.wsnet\.online_norm_{name}\.default\(", code)) == 1
        assert not re.search(r"= empty_strided_cpu\(|copy_\(|clone\(|auto_functionalized", code)
