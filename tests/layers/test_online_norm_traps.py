"""Where online normalization goes wrong in practice: recomputation, loss scales, infinities, workers, precision."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tests.layers import online_norm_child
from tests.layers.online_norm_reference import error, tensors
from wsnet.config.norm import OnlineNormConfig
from wsnet.layers import Layers
from wsnet.layers.online_norm import (
    OnlineNorm2d,
    kernel,
    merged_online_state,
    online_norm_checkpoint,
    online_state,
    rescale_gradient_state,
    restore_online_state,
)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), OnlineNorm2d(4, 0.9, 0.8), nn.ReLU(), nn.Conv2d(4, 4, 3), OnlineNorm2d(4, 0.9, 0.8)
    )


def gradients(model: nn.Module, loss: Tensor) -> list[Tensor]:
    model.zero_grad()
    loss.backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


def same_state(first: nn.Module, second: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first.buffers(), second.buffers(), strict=True))


def test_checkpointed_activations_give_the_same_gradients_and_state() -> None:
    plain = network()
    saving = copy.deepcopy(plain)
    for seed in range(3):
        x = tensors((5, 3, 8, 8), seed)[0]

        def run(segment: nn.Module, x: Tensor) -> Tensor:
            return checkpoint(segment, x, use_reentrant=False, context_fn=online_norm_checkpoint)

        wanted = gradients(plain, plain(x).square().sum() + plain(2 * x).sum())
        found = gradients(saving, run(saving, x).square().sum() + run(saving, 2 * x).sum())
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
        assert same_state(saving, plain)


def test_a_checkpointed_segment_may_be_computed_again_more_than_once() -> None:
    plain = network()
    saving = copy.deepcopy(plain)
    x = tensors((5, 3, 8, 8), 0)[0]
    losses = [
        plain(x).square().sum(),
        checkpoint(saving, x, use_reentrant=False, context_fn=online_norm_checkpoint).square().sum(),
    ]
    for _ in range(2):
        for loss in losses:
            loss.backward(retain_graph=True)
        pairs = zip(saving.parameters(), plain.parameters(), strict=True)
        assert all(torch.equal(found.grad, wanted.grad) for found, wanted in pairs)
        assert same_state(saving, plain)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_checkpointing_that_would_compute_something_else_is_refused(use_reentrant: bool) -> None:
    model = network()
    x = tensors((5, 3, 8, 8), 0)[0].requires_grad_()
    out = checkpoint(model, x, use_reentrant=use_reentrant)
    with pytest.raises(RuntimeError, match=r"context_fn=.*online_norm_checkpoint"):
        out.sum().backward()


def test_a_changed_loss_scale_changes_no_gradient_once_the_state_follows() -> None:
    plain = network()
    scaled = copy.deepcopy(plain)
    scale = 1024.0
    for seed in range(4):
        if seed == 2:
            rescale_gradient_state(scaled, 1 / scale)
            scale = 1.0
        x = tensors((5, 3, 8, 8), seed)[0]
        wanted = gradients(plain, plain(x).square().mean())
        found = gradients(scaled, scaled(x).square().mean() * scale)
        assert all(torch.allclose(a / scale, b, rtol=1e-4, atol=1e-6) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_gradient_that_is_not_finite_leaves_u_and_v(value: float, implementation: str) -> None:
    norm = OnlineNorm2d(4)
    x, grad = tensors((5, 4, 3, 3), 0)
    norm(x).backward(grad)
    before = online_state(norm)
    bad = grad.clone()
    bad[2, 1, 0, 0] = value
    norm(x).backward(bad)
    assert all(torch.equal(getattr(norm, name), before[name]) for name in ("u", "v"))
    assert not torch.equal(norm.running_mean, before["running_mean"])


def test_an_input_that_is_not_finite_leaves_mean_and_variance(implementation: str) -> None:
    norm = OnlineNorm2d(4)
    x, _ = tensors((5, 4, 3, 3), 0)
    norm(x)
    before = online_state(norm)
    x[2, 1, 0, 0] = float("inf")
    assert not norm(x).isfinite().all()
    assert all(torch.equal(values, before[name]) for name, values in online_state(norm).items())


def test_a_skipped_step_leaves_no_trace() -> None:
    model = network()
    untouched = copy.deepcopy(model)
    before = online_state(model)
    for skipped in (torch.tensor(False), torch.tensor(True)):
        restore_online_state(model, before)
        model(tensors((5, 3, 8, 8), 0)[0]).sum().backward()
        restore_online_state(model, before, condition=skipped)
        assert same_state(model, untouched) == bool(skipped)


@pytest.mark.slow
def test_two_workers_keep_their_streams_and_merge_them_for_saving(tmp_path: Path) -> None:
    places = [str(tmp_path / "store"), str(tmp_path / "result")]
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]),
    }
    workers = [
        subprocess.Popen([sys.executable, online_norm_child.__file__, str(rank), "2", *places], env=environment)
        for rank in range(2)
    ]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    results = [torch.load(f"{places[1]}.{rank}") for rank in range(2)]
    first, second = (result["own"] for result in results)
    assert not torch.allclose(first["1.running_mean"], second["1.running_mean"], atol=0.01)
    for result in results:
        assert all(torch.equal(result["after"][name], values) for name, values in result["own"].items())
        assert all(torch.equal(result["merged"][name], values) for name, values in results[0]["merged"].items())
    merged = results[0]["merged"]
    for layer in ("1", "3"):
        difference = first[f"{layer}.running_mean"] - second[f"{layer}.running_mean"]
        variance = (first[f"{layer}.running_var"] + second[f"{layer}.running_var"]) / 2 + difference.square() / 4
        torch.testing.assert_close(merged[f"{layer}.running_var"], variance)
        for name in ("running_mean", "u", "v"):
            mean = (first[f"{layer}.{name}"] + second[f"{layer}.{name}"]) / 2
            torch.testing.assert_close(merged[f"{layer}.{name}"], mean)
    missing = online_norm_child.network().load_state_dict(merged, strict=False)
    assert not missing.unexpected_keys


def test_the_merged_state_of_one_stream_is_its_own() -> None:
    model = network()
    model(tensors((5, 3, 8, 8), 0)[0]).sum().backward()
    own = online_state(model)
    assert all(torch.equal(values, own[name]) for name, values in merged_online_state([own]).items())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("compensation", ["ls", "ac", "none"])
def test_half_precision_rounds_once(compensation: str, layout: torch.memory_format, implementation: str) -> None:
    half = OnlineNorm2d(20, backward_decay=0.9, error_compensation=compensation).to(torch.bfloat16)
    full = OnlineNorm2d(20, backward_decay=0.9, error_compensation=compensation)
    for seed in range(3):
        x, grad = (t.contiguous(memory_format=layout) for t in tensors((6, 20, 5, 5), seed, torch.bfloat16))
        wide = x.float().requires_grad_()
        wanted = full(wide)
        wanted.backward(grad.float())
        out = half(x.requires_grad_())
        out.backward(grad)
        assert out.dtype == torch.bfloat16 and out.is_contiguous(memory_format=layout)
        # Sums are taken in another order than those of float32, so that a tie may be rounded the other way.
        for found, exact in ((out, wanted), (x.grad, wide.grad)):
            assert (found == exact.bfloat16()).float().mean() > 0.995
            assert error(found, exact) < 2**-8
    for name, values in online_state(half).items():
        assert values.dtype == torch.float32
        assert error(values, getattr(full, name)) < 1e-5


def test_autocast_changes_the_dtype_alone(implementation: str) -> None:
    plain = OnlineNorm2d(8)
    cast = copy.deepcopy(plain)
    x, grad = tensors((6, 8, 5, 5), 0, torch.bfloat16)
    plain(x.requires_grad_()).backward(grad)
    wanted, x.grad = x.grad, None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = cast(x)
        assert out.dtype == torch.bfloat16
        out.backward(grad)
    assert torch.equal(x.grad, wanted) and torch.equal(cast.weight.grad, plain.weight.grad) and same_state(cast, plain)


def weighted_sum(y: torch.Tensor) -> torch.Tensor:
    """Not the sum of squares: layer scaling fixes that, so that its gradient would be rounding alone."""
    return (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # The kernels, and the traced torch operations.
def test_it_compiles_whole(dtype: torch.dtype) -> None:
    torch._dynamo.reset()
    plain = network().to(dtype)
    other = copy.deepcopy(plain)
    pairs = (plain, plain), (other, torch.compile(other, fullgraph=True))
    for seed in range(3):
        x = tensors((5, 3, 8, 8), seed, dtype)[0]
        wanted, found = (gradients(model, weighted_sum(forward(x))) for model, forward in pairs)
        assert all(error(a, b) < 1e-5 for a, b in zip(found, wanted, strict=True))
        assert all(error(a, b) < 1e-5 for a, b in zip(other.buffers(), plain.buffers(), strict=True))


def test_the_configuration_makes_it() -> None:
    config = OnlineNormConfig(name="online", forward_decay=0.9, backward_decay=0.8, error_compensation="ac", eps=1e-3)
    norm = Layers(config).norm(4, size=(8, 8))
    assert isinstance(norm, OnlineNorm2d)
    assert (norm.forward_decay, norm.backward_decay, norm.error_compensation, norm.eps) == (0.9, 0.8, "ac", 1e-3)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_an_activation_may_overwrite_what_the_torch_operations_give(
    monkeypatch: pytest.MonkeyPatch, layout: torch.memory_format
) -> None:
    # As on a GPU, or without a compiler: the output once was a view, which autograd does not let be written to.
    norm, x = OnlineNorm2d(3), torch.randn(2, 3, 4, 4).to(memory_format=layout)
    expected = norm(x).relu()
    expected.sum().backward()
    other = OnlineNorm2d(3)
    monkeypatch.setattr(kernel, "has_kernels_for", lambda *tensors: False)
    seen = other(x).relu_()
    seen.sum().backward()
    torch.testing.assert_close(seen, expected)
    torch.testing.assert_close(other.weight.grad, norm.weight.grad)
