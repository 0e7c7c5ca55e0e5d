"""Counting on the meta device is quick: it neither imports torch's compiler nor computes norms in Python."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from wsnet.models.operations import ShapesOfNorms

SCRIPT = """
import sys
import torch
from wsnet.config.architectures import CifarResNetConfig
from wsnet.models import activation_bytes, complexity, multiply_accumulates, thop_operations
complexity._FEW = 0  # Nothing is counted on the CPU.
for options in ({"name": "group", "groups": 4}, *({"name": name} for name in ("batch", "layer", "instance", "online"))):
    model = CifarResNetConfig.model_validate({"name": "cifar_resnet", "depth": 8, "norm": options})
    for count in (multiply_accumulates, thop_operations, activation_bytes):
        assert count(model, 10, (3, 32, 32)) > 0
print("torch._dynamo" in sys.modules)
import torch._dynamo  # Now the real one.
x = torch.ones(2, 3)
graphs = []
torch._dynamo.reset()
compiled = torch.compile(lambda x: torch.relu(x) + 1, backend=lambda graph, inputs: graphs.append(1) or graph.forward)
print(torch.equal(compiled(x), torch.relu(x) + 1), len(graphs))
"""


@pytest.mark.slow
def test_counting_does_not_import_torchs_compiler_and_leaves_it_usable() -> None:
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=200)
    assert done.stdout == "False\nTrue 1\n", done.stderr


@pytest.mark.parametrize(
    ("norm", "arguments"),
    [
        ("native_batch_norm", (None, None, None, None, True, 0.1, 1e-5)),
        ("native_batch_norm", (None, None, torch.zeros(6), torch.ones(6), False, 0.1, 1e-5)),
        ("native_group_norm", (None, None, 4, 6, 25, 3, 1e-5)),
        ("native_layer_norm", ([6, 5, 5], None, None, 1e-5)),
        ("native_layer_norm", ([5], None, None, 1e-5)),
    ],
)
def test_the_shapes_of_norms_are_torchs(norm: str, arguments: tuple[Any, ...]) -> None:
    operator = getattr(torch.ops.aten, norm).default
    expected = operator(torch.randn(4, 6, 5, 5), *arguments)
    on_meta = [value.to("meta") if isinstance(value, torch.Tensor) else value for value in arguments]
    with ShapesOfNorms():  # type: ignore[no-untyped-call]
        found = operator(torch.empty(4, 6, 5, 5, device="meta"), *on_meta)
    assert [tuple(tensor.shape) for tensor in found] == [tuple(tensor.shape) for tensor in expected]
    assert all(tensor.device.type == "meta" for tensor in found)
