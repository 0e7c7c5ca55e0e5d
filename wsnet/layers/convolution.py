"""The convolution that all others here build on; those with standardized or normalized filters are in weights.py."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Conv2d"]

_BLOCK = 8
"""Channels per AVX2 register."""

_HAS_AVX512 = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
"""Asked for once: torch.compile breaks its graph where a forward pass asks."""


class Conv2d(nn.Conv2d):
    """torch's convolution, avoiding a kernel that writes out of bounds.

    On CPUs with AVX2 but not AVX-512, oneDNN's gradient of strided 1x1 filters with fewer than 8 input channels, in
    channels_last, overruns its workspace and crashes or gives wrong numbers (oneDNN issue 6035; torch 2.15). In that
    case the input is first subsampled by the stride and then convolved without one, which is equivalent.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if input.is_cpu and self._is_narrow_and_strided and not _HAS_AVX512:
            rows, columns = self.stride
            return F.conv2d(input[:, :, ::rows, ::columns], weight, bias, groups=self.groups)
        out: Tensor = super()._conv_forward(input, weight, bias)
        return out

    @property
    def _is_narrow_and_strided(self) -> bool:
        return (
            self.kernel_size == (1, 1)
            and max(self.stride) > 1
            and self.padding == (0, 0)
            and self.in_channels // self.groups < _BLOCK
        )
