"""Online normalization against numbers of the authors' own kernel (float32, C++), and of a float64 run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.layers.online_norm_reference import error
from tests.shared import SHARED
from wsnet.layers.online_norm import OnlineNorm, OnlineNorm1d, OnlineNorm2d
from wsnet.layers.online_norm.formulas import CLAMP, LAYER_SCALE_EPS

STATE = {"m": "running_mean", "var": "running_var", "u": "u", "v": "v"}
HERE = Path(__file__).parent / "vectors"
EVERYWHERE = SHARED / "reference" / "online_norm" if SHARED else HERE
FILES = sorted({path.name: path for folder in (EVERYWHERE, HERE) for path in folder.glob("*.npz")}.values())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_number_is_the_authors(path: Path, layout: torch.memory_format, implementation: str) -> None:
    numbers = np.load(path)
    meta = json.loads(str(numbers["meta_json"]))
    maps = len(meta["shape"]) == 4
    if not maps and layout == torch.channels_last:
        pytest.skip("vectors have no layout")
    for case, settings in meta["cases"].items():
        _check_case(numbers, meta, case, settings, layout if maps else torch.contiguous_format)


class SideBySide(nn.Module):
    """Layers that each take some of the channels; one of the vectors is of three models stacked."""

    def __init__(self, norms: list[OnlineNorm], channels: int) -> None:
        super().__init__()
        self.norms, self.channels = nn.ModuleList(norms), channels

    def forward(self, x: Tensor) -> Tensor:
        layout = torch.contiguous_format if x.is_contiguous() else torch.channels_last
        parts = (part.contiguous(memory_format=layout) for part in x.split(self.channels, 1))
        return torch.cat([norm(part) for norm, part in zip(self.norms, parts, strict=True)], 1)

    def all(self, name: str, of: Callable[[Tensor], Tensor] = torch.clone) -> Tensor:
        """A tensor of all channels."""
        return torch.cat([of(getattr(norm, name)) for norm in self.norms])


def _check_case(
    numbers: Any, meta: dict[str, Any], case: str, settings: dict[str, Any], layout: torch.memory_format
) -> None:
    assert (meta["ls_eps"], meta["clamp"]) == (LAYER_SCALE_EPS, CLAMP)
    kind = OnlineNorm2d if len(meta["shape"]) == 4 else OnlineNorm1d
    channels = meta.get("group_size", meta["shape"][1])
    norms = [
        kind(
            channels,
            forward_decay=settings["alpha_fwd"],
            backward_decay=settings["alpha_bkw"],
            eps=meta["eps"],
            affine=settings["affine"],
            error_compensation=settings["ecm"],
        )
        for _ in range(meta["shape"][1] // channels)
    ]
    norm = SideBySide(norms, channels)
    if settings["affine"]:
        for name in ("weight", "bias"):
            for layer, values in zip(norms, torch.tensor(numbers[name]).split(channels), strict=True):
                layer.load_state_dict({name: values}, strict=False)
    # The authors' kernel takes the decays as float32, in which 0.999 is another number; 1023 / 1024 is not.
    dyadic = (settings["alpha_bkw"] * 2**10).is_integer() and (settings["alpha_fwd"] * 2**10).is_integer()
    bound = 1e-5 if dyadic else 3e-5
    at = (..., *meta["pixel"]) if "pixel" in meta else (...,)
    for step in range(meta["steps"]):
        x, grad = (torch.tensor(numbers[name][step]).contiguous(memory_format=layout) for name in ("x", "grad_out"))
        norm.zero_grad()
        out = norm(x.requires_grad_())
        out.backward(grad)
        assert out.is_contiguous(memory_format=layout) and x.grad.is_contiguous(memory_format=layout)
        found = {"out": out[at], "grad_in": x.grad[at], **{n: norm.all(long) for n, long in STATE.items()}}
        if settings["affine"]:
            found |= {f"grad_{n}": norm.all(n, lambda p: p.grad) for n in ("weight", "bias")}
        if "pixel" in meta:
            found |= {"out_mean": out.mean((2, 3)), "grad_in_mean": x.grad.mean((2, 3))}
        for name, values in found.items():
            assert error(values, numbers[f"{case}/{name}"][step]) < bound, (case, name, step)
    for name, long in STATE.items():
        assert error(norm.all(long), numbers[f"{case}/{name}_f64"]) < 3e-6, (case, name)
    norm.eval()
    x = torch.tensor(numbers["x_eval"]).contiguous(memory_format=layout)
    with torch.no_grad():
        assert error(norm(x)[at], numbers[f"{case}/out_eval"]) < bound, case
    assert error(norm(x.requires_grad_())[at], numbers[f"{case}/out_eval"]) < bound, case
