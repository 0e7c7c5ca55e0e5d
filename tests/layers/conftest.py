"""Online norm on both of its CPU paths."""

import pytest

from wsnet.layers.online_norm import kernel


@pytest.fixture(params=["kernels", "torch"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "torch":
        monkeypatch.setattr(kernel, "has_kernels_for", lambda *tensors: False)
    elif kernel.load_library() is None:
        pytest.skip("no C++ compiler")
    return request.param
