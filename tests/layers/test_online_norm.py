"""Online normalization against the plain loop over samples, and what must hold without a reference."""

import copy
import math
from ctypes import c_int64

import pytest
import torch
from torch import Tensor

from tests.layers.online_norm_reference import Sequential, error, tensors
from wsnet.layers import initialize
from wsnet.layers.online_norm import OnlineNorm, OnlineNorm1d, OnlineNorm2d, kernel
from wsnet.layers.online_norm.formulas import recurrence

pytestmark = pytest.mark.usefixtures("implementation")

STATE = ("running_mean", "running_var", "u", "v")


def made(channels: int, kind: type[OnlineNorm] = OnlineNorm2d, **options: object) -> OnlineNorm:
    norm = kind(channels, **options)
    generator = torch.Generator().manual_seed(3)
    norm.weight.data.copy_(torch.rand(channels, generator=generator) + 0.5)
    norm.bias.data.copy_(torch.randn(channels, generator=generator))
    return norm


def step(norm: OnlineNorm, x: Tensor, grad: Tensor) -> dict[str, Tensor]:
    norm.zero_grad()
    x = x.detach().requires_grad_()
    out = norm(x)
    out.backward(grad)
    return {"out": out, "grad_in": x.grad, "grad_weight": norm.weight.grad, "grad_bias": norm.bias.grad}


def state(norm: OnlineNorm) -> dict[str, Tensor]:
    return {name: getattr(norm, name).clone() for name in STATE}


@pytest.mark.slow
@pytest.mark.parametrize("compensation", ["ls", "ac", "none"])
@pytest.mark.parametrize(
    "shape",
    [(1, 3, 5, 5), (300, 4, 2, 2), (33, 7, 3, 5), (4, 70, 9, 9), (3, 5, 70, 70), (9, 33), (1, 3), (6, 5, 11)],
    ids=str,
)
def test_it_is_the_loop_over_samples(shape: tuple[int, ...], compensation: str) -> None:
    norm = made(
        shape[1], OnlineNorm2d if len(shape) == 4 else OnlineNorm1d, forward_decay=0.97, backward_decay=0.9,
        error_compensation=compensation,
    )  # fmt: skip
    layouts = [torch.contiguous_format, torch.channels_last] if len(shape) == 4 else [torch.contiguous_format]
    for layout in layouts:
        norm.reset_running_stats()
        loop = Sequential(norm.weight.detach(), norm.bias.detach(), 0.97, 0.9, compensation)
        for seed in range(3):
            x, grad = (t.contiguous(memory_format=layout) for t in tensors(shape, seed))
            wanted = loop.step(x, grad)
            found = step(norm, x, grad) | state(norm)
            assert found["out"].is_contiguous(memory_format=layout)
            for name, values in (wanted | loop.state).items():
                assert error(found[name], values) < 3e-5, (name, layout)


def test_float64_is_the_loop_to_rounding() -> None:
    norm = made(5, backward_decay=0.9).double()
    loop = Sequential(norm.weight.detach(), norm.bias.detach(), backward_decay=0.9)
    for seed in range(3):
        x, grad = tensors((12, 5, 4, 4), seed, torch.float64)
        wanted = loop.step(x, grad)
        found = step(norm, x, grad) | state(norm)
        assert all(error(found[name], values) < 1e-12 for name, values in (wanted | loop.state).items())


def test_means_far_greater_than_deviations_cost_no_accuracy() -> None:
    norm = made(6, forward_decay=0.9, error_compensation="none")
    loop = Sequential(norm.weight.detach(), norm.bias.detach(), 0.9, 0.99, "none")
    for layout in (torch.contiguous_format, torch.channels_last):
        for seed in range(20):
            x, grad = (t.contiguous(memory_format=layout) for t in tensors((16, 6, 8, 8), seed))
            x = x + 100 * torch.tensor([1.0, -1, 1, -1, 1, -1]).view(1, 6, 1, 1)
            wanted, found = loop.step(x, grad), step(norm, x, grad)
        for name, values in wanted.items():
            assert error(found[name], values) < 2e-5, name


def test_micro_batches_in_turn_are_the_large_batch() -> None:
    whole, parts = made(8, backward_decay=0.9), made(8, backward_decay=0.9)
    for seed in range(3):
        x, grad = tensors((12, 8, 5, 5), seed)
        wanted = step(whole, x, grad)
        found = [step(parts, *pair) for pair in zip(x.split([5, 1, 6]), grad.split([5, 1, 6]), strict=True)]
        for name, values in wanted.items():
            joined = torch.cat([part[name] for part in found]) if name in ("out", "grad_in") else None
            summed = sum(part[name] for part in found) if joined is None else joined
            assert error(summed, values) < 5e-7, name
        assert all(error(values, state(whole)[name]) < 5e-7 for name, values in state(parts).items())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(13, 20, 9, 9), (3, 20, 9, 9), (1, 5, 30, 30)], ids=str)
def test_the_kernels_give_the_same_bits_however_the_work_is_shared_out(
    shape: tuple[int, ...], layout: torch.memory_format, implementation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if implementation == "torch":
        pytest.skip("torch's sums are its own")
    library = kernel.load_library()
    assert library is not None
    x, grad = (t.contiguous(memory_format=layout) for t in tensors(shape, 0))
    monkeypatch.setattr(c_int64.in_dll(library, "online_norm_tile"), "value", 400)
    norms, found = [made(shape[1]) for _ in range(4)], []
    before = torch.get_num_threads()
    for norm, (threads, chunk) in zip(norms, ((1, 2**20), (2, 2**20), (3, 4000), (2, 1)), strict=True):
        torch.set_num_threads(threads)
        monkeypatch.setattr(c_int64.in_dll(library, "online_norm_chunk"), "value", chunk)
        found.append([step(norm, x, grad) | state(norm) for _ in range(3)])
    torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a[name], b[name]) for a, b in zip(found[0], other, strict=True) for name in a)


@pytest.mark.parametrize("compensation", ["ls", "ac", "none"])
def test_evaluation_is_a_plain_function_with_its_plain_gradient(compensation: str) -> None:
    norm = made(4, error_compensation=compensation).double()
    step(norm, *tensors((5, 4, 3, 3), 0, torch.float64))
    before = state(norm.eval())
    x = tensors((2, 4, 3, 3), 1, torch.float64)[0].requires_grad_()
    assert torch.autograd.gradcheck(norm, (x,))
    y = (x - norm.running_mean.view(4, 1, 1)) / (norm.running_var + 1e-5).sqrt().view(4, 1, 1)
    wanted = y * norm.weight.view(4, 1, 1) + norm.bias.view(4, 1, 1)
    if compensation == "ls":
        square = wanted.square().mean((1, 2, 3), keepdim=True)
        wanted = wanted / (square + 1e-5).sqrt()
    torch.testing.assert_close(norm(x), wanted.clamp(-5, 5) if compensation == "ac" else wanted)
    assert all(torch.equal(values, before[name]) for name, values in state(norm).items())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("compensation", ["ls", "ac", "none"])
def test_evaluation_is_the_same_with_and_without_a_gradient(compensation: str, layout: torch.memory_format) -> None:
    norm = made(20, error_compensation=compensation)
    step(norm, *tensors((5, 20, 3, 3), 0))
    x = tensors((4, 20, 3, 3), 1)[0].contiguous(memory_format=layout)
    norm.eval()
    with torch.no_grad():
        found = norm(x)
    assert found.is_contiguous(memory_format=layout)
    torch.testing.assert_close(found, norm(x), rtol=1e-5, atol=1e-6)


def test_a_layer_of_known_kind_can_be_initialized_copied_and_saved() -> None:
    norm = made(4)
    step(norm, *tensors((5, 4, 3, 3), 0))
    twin, loaded = copy.deepcopy(norm), OnlineNorm2d(4)
    loaded.load_state_dict(norm.state_dict())
    before = state(norm)
    assert set(norm.state_dict()) == {"weight", "bias", *STATE}
    found, wanted = (step(other, *tensors((5, 4, 3, 3), 1)) for other in (twin, loaded))
    assert all(torch.equal(found[name], wanted[name]) for name in found)
    assert all(torch.equal(values, before[name]) for name, values in state(norm).items())
    initialize(norm, seed=0)
    assert all(torch.equal(values, state(OnlineNorm2d(4))[name]) for name, values in state(norm).items())


def test_the_doubling_is_finite_wherever_the_loop_is() -> None:
    generator = torch.Generator().manual_seed(0)
    for scale in (1.0, 30.0, 1000.0):
        coefficient = 1 - scale * torch.rand(256, 50, generator=generator, dtype=torch.float64).pow(8)
        added = torch.randn(256, 50, generator=generator, dtype=torch.float64)
        value, values = torch.zeros(50, dtype=torch.float64), []
        for factor, summand in zip(coefficient, added, strict=True):
            value = factor * value + summand
            values.append(value)
        wanted = torch.stack(values)
        assert wanted.isfinite().all()
        torch.testing.assert_close(recurrence(coefficient, added, torch.zeros(50))[1:], wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"forward_decay": 1.0}, "0 < forward_decay < 1"),
        ({"backward_decay": math.nan}, "0 < backward_decay < 1"),
        ({"error_compensation": "layer"}, "must be 'ls', 'ac' or 'none'"),
    ],
)
def test_options_that_can_not_be_are_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        OnlineNorm2d(4, **options)


def test_an_input_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="takes 4-D input"):
        OnlineNorm2d(4)(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="must have 4 channels"):
        OnlineNorm2d(4)(torch.zeros(2, 3, 5, 5))
