"""Online norm on both of its CPU paths."""

import pytest

from wsnet.layers import online_norm_kernels


@pytest.fixture(params=["kernels", "torch"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "torch":
        monkeypatch.setattr(online_norm_kernels, "serves", lambda *tensors: False)
    elif online_norm_kernels.kernels() is None:
        pytest.skip("no C++ compiler")
    return request.param
