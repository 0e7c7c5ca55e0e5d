"""What the convolutions with reparametrized weights share."""

from abc import ABC, abstractmethod

from torch import Tensor

from wsnet.layers.convolution import Conv2d

__all__ = ["ReparametrizedConv2d"]


class ReparametrizedConv2d(Conv2d, ABC):
    """A convolution with filters that are a function of its parameters.

    Attributes:
        held: filters to use instead of computing them anew; see `once_per_step`.
    """

    held: Tensor | None = None

    @abstractmethod
    def filters(self) -> Tensor:
        """The filters, out x in/groups x kH x kW, from the parameters."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve N x C x H x W."""
        out: Tensor = self._conv_forward(input, self.filters() if self.held is None else self.held, self.bias)
        return out
