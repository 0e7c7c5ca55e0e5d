"""The cost of a normalization, forward and backward, relative to BatchNorm2d on the same tensor.

    python benchmarks/norms.py [--threads 2] [--rounds 60] [--device cpu|cuda] [--dtype float32] [--no-loop]
                               [--quantile 0.5]

For three shapes, contiguous and channels_last, compared with eager batch norm:

    online           OnlineNorm2d with layer scaling, eager           (goal: 1.0)
    online compiled  the same under torch.compile                     (goal: 1.0)
    online torch     eager, in torch operations only, as used without a C++ compiler (CPU only)
    batch compiled   BatchNorm2d under torch.compile
    group            GroupNorm of 8 groups, eager
    loop             online norm as written in the paper, sample by sample (bar: online at least 5 times faster)

All take turns within a round, in an order that rotates, so that other load on the machine affects them alike. Each
ratio is a ratio of medians over the rounds. On a busy machine, medians measure the load; use `--quantile 0.1`.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from unittest import mock

import numpy as np
import torch
from ratios import ratio
from torch import Tensor, nn

from wsnet.layers.online_norm import OnlineNorm2d, kernel

SHAPES = ((128, 16, 32, 32), (32, 64, 32, 32), (128, 64, 8, 8))
SEEN = {  # Ratios of the first implementation: online, online compiled.
    (SHAPES[0], False): (1.22, 0.54),
    (SHAPES[0], True): (1.97, 1.19),
    (SHAPES[1], False): (1.16, 0.47),
    (SHAPES[1], True): (2.52, 1.80),
    (SHAPES[2], False): (2.42, 1.36),
    (SHAPES[2], True): (5.3, 3.4),
}
Step = Callable[[], None]


def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    device, dtype = torch.device(arguments.device), getattr(torch, arguments.dtype)
    names = ("online", "online compiled", "online torch", "batch compiled", "group")
    has_kernels = "yes" if kernel.load_library() else "no"
    print(f"{device}, {dtype}, {arguments.threads} threads, kernels: {has_kernels}; time / batch norm's")
    print(f"{'shape':18}{'layout':14}{'batch':>9} " + "".join(f"{name:>16}" for name in names) + f"{'loop':>9}  bar")
    missed = 0
    for shape in SHAPES:
        for channels_last in (False, True):
            steps = contestants(shape, channels_last=channels_last, device=device, dtype=dtype)
            if not arguments.loop:
                del steps["loop"]
            medians = measure(steps, rounds=arguments.rounds, quantile=arguments.quantile, device=device)
            ratios = {name: medians[name] / medians["batch"] for name in medians}
            seen = SEEN[shape, channels_last]
            layout = "channels_last" if channels_last else "contiguous"
            for name in names[:3] if "online torch" in ratios else names[:2]:
                what = f"{name} / batch norm: {shape}, {layout}"
                ratio(what, ratios[name], higher_is_better=False)
            worse = ratios["online"] > seen[0] or ratios["online compiled"] > seen[1]
            missed += worse and device.type == "cpu"
            print(
                f"{shape!s:18}{layout:14}{medians['batch'] * 1e3:7.2f}ms "
                + "".join(f"{ratios[name]:16.2f}" if name in ratios else f"{'-':>16}" for name in names)
                + (f"{ratios['loop']:9.1f}" if arguments.loop else f"{'-':>9}")
                + f"  {seen[0]} / {seen[1]} {'MISSED' if worse else 'met'}",
                flush=True,
            )
    return min(missed, 1)


def contestants(
    shape: tuple[int, ...], *, channels_last: bool, device: torch.device, dtype: torch.dtype
) -> dict[str, Step]:
    """One forward and backward step of each."""
    generator = torch.Generator().manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format

    def random() -> Tensor:
        return torch.randn(shape, generator=generator).to(device, dtype).contiguous(memory_format=layout)

    x, grad = random().requires_grad_(), random()
    channels = shape[1]

    def step(norm: Callable[[Tensor], Tensor], parameters: list[nn.Parameter]) -> Step:
        def run() -> None:
            torch.autograd.grad(norm(x), [x, *parameters], grad)

        return run

    def of(norm: nn.Module, compiled: bool = False) -> Step:
        norm = norm.to(device)
        return step(torch.compile(norm, fullgraph=True) if compiled else norm, list(norm.parameters()))

    online = of(OnlineNorm2d(channels))
    found = {
        "batch": of(nn.BatchNorm2d(channels)),
        "online": online,
        "online compiled": of(OnlineNorm2d(channels), compiled=True),
        "batch compiled": of(nn.BatchNorm2d(channels), compiled=True),
        "group": of(nn.GroupNorm(8, channels)),
        "loop": loop(x, grad),
    }
    if device.type == "cpu":
        without = of(OnlineNorm2d(channels))

        def run() -> None:
            # Creating a MagicMock would add a millisecond to the measured time.
            with mock.patch.object(kernel, "has_kernels_for", _never):
                without()

        found["online torch"] = run
    return found


def _never(*tensors: Tensor) -> bool:
    return False


def loop(x: Tensor, grad: Tensor) -> Step:
    """The paper's algorithm, sample by sample, with layer scaling; in float32."""
    channels, (a, b, eps) = x.shape[1], (0.999, 0.99, 1e-5)
    m, var, u, v = torch.zeros(4, channels, 1, 1, device=x.device)
    var = var + 1
    weight, bias = torch.ones_like(m), torch.zeros_like(m)

    def run() -> None:
        nonlocal m, var, u, v
        saved, outs, grads = [], [], []
        with torch.no_grad():
            for sample in x:
                mean = sample.mean((1, 2), keepdim=True)
                variance = (sample - mean).square().mean((1, 2), keepdim=True)
                s = (var + eps).sqrt()
                y = (sample - m) / s
                z = weight * y + bias
                zeta = (z.square().mean() + eps).sqrt()
                outs.append(z / zeta)
                saved.append((y, s, z / zeta, zeta))
                d = mean - m
                var = a * var + (1 - a) * variance + a * (1 - a) * d.square()
                m = m + (1 - a) * d
            torch.stack(outs)
            grad_weight, grad_bias = torch.zeros_like(m), torch.zeros_like(m)
            for gradient, (y, s, out, zeta) in zip(grad, saved, strict=True):
                dz = (gradient - (gradient * out).mean() * out) / zeta
                grad_weight += (dz * y).sum((1, 2), keepdim=True)
                grad_bias += dz.sum((1, 2), keepdim=True)
                dy = dz * weight
                first = dy - (1 - b) * v * y
                v = v + (dy * y).mean((1, 2), keepdim=True) - (1 - b) * v * y.square().mean((1, 2), keepdim=True)
                first = first / s
                grads.append(first - (1 - b) * u)
                u = b * u + first.mean((1, 2), keepdim=True)
            torch.stack(grads)

    return run


def measure(steps: dict[str, Step], *, rounds: int, quantile: float, device: torch.device) -> dict[str, float]:
    """The quantile over the rounds of each contestant's seconds; the loop runs in one round of six."""
    names = list(steps)
    for name in names:  # Compile and fill caches.
        for _ in range(1 if name == "loop" else 4):
            steps[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            if name != "loop" or number % 6 == 0:
                seconds[name].append(_seconds(steps[name], device))
    return {name: float(np.quantile(values, quantile)) for name, values in seconds.items()}


def _seconds(step: Step, device: torch.device) -> float:
    if device.type != "cuda":
        began = time.perf_counter()
        step()
        return time.perf_counter() - began
    began_at, ended_at = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    began_at.record()
    step()
    ended_at.record()
    torch.cuda.synchronize()
    return began_at.elapsed_time(ended_at) / 1e3


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="CPU threads (default: 2)")
    parser.add_argument("--rounds", type=int, default=60, help="rounds (default: 60)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--quantile", type=float, default=0.5, help="of the seconds over rounds (default: the median)")
    parser.add_argument("--no-loop", dest="loop", action="store_false", help="skip the sequential loop")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
