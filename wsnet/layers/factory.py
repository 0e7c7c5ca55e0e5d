"""`Layers`, the factory from which models get their convolutions, norms, activations and linear layers."""

from typing import Literal

from torch import nn

from wsnet.config.architectures import ClassifierInit, ConvInit
from wsnet.config.norm import NormConfig
from wsnet.layers.convolution import Conv2d
from wsnet.layers.initialize import draw_as, start_at_zero
from wsnet.layers.norms import After, Before, Size, make_activation, make_norm
from wsnet.layers.stacking import StackedLinear
from wsnet.layers.weights import NormalizedConv2d, StandardizedConv2d

__all__ = ["Layers", "norms_of"]


_CONVS: dict[str, type[nn.Conv2d]] = {
    "none": Conv2d,
    "standardized": StandardizedConv2d,
    "normalized": NormalizedConv2d,
}
"""Convolutions by how their weights are reparametrized (`model.weight`)."""


class Layers:
    """Makes the layers of one network, so that every norm works in every architecture.

    Attributes:
        replicates: networks side by side, for all of which each layer computes.
    """

    def __init__(
        self,
        norm: NormConfig,
        weight: Literal["none", "standardized", "normalized"] = "none",
        *,
        weight_init: Literal["plain", "data_dependent"] = "plain",
        residual_init: Literal["default", "zero"] = "default",
        init: ConvInit = "fan_out",
        classifier_init: ClassifierInit = "uniform",
        replicates: int = 1,
    ) -> None:
        """Choose the kind of layers.

        Args:
            norm: how activations are normalized.
            weight: how each convolution's weights are reparametrized.
            weight_init: with data_dependent every convolution has the bias that `initialize_from_data` sets.
            residual_init: whether residual branches begin at zero.
            init: distribution of the convolutions' initial weights.
            classifier_init: distribution of the linear layers' initial weights.
            replicates: networks side by side, for all of which each layer computes (see `wsnet.layers.stacking`). The
                channels and groups of all methods are those of one network.
        """
        self.replicates = replicates
        self._norm = norm
        self._conv = _CONVS[weight]
        self._bias = weight_init == "data_dependent"
        self._zero = residual_init == "zero"
        self._init: ConvInit = init
        self._classifier_init: ClassifierInit = classifier_init

    def conv(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        bias: bool = False,
    ) -> nn.Conv2d:
        """A convolution with a square kernel, without bias unless asked for (here or by `weight_init`).

        Args:
            padding: zeros on each side; None is kernel_size // 2, which keeps the map's size at stride 1.

        Raises:
            ValueError: a standardized filter would have a single element.
        """
        conv = self._conv(
            self.replicates * in_channels,
            self.replicates * out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2 if padding is None else padding,
            groups=self.replicates * groups,
            bias=bias or self._bias,
        )
        draw_as(conv, self._init)
        return conv

    def norm(self, channels: int, *, size: Size, before: Before = "activation") -> nn.Module:
        """The norm for maps of N x channels x height x width.

        Args:
            size: (height, width) of the maps, which a layer norm with an affine map per element needs.
            before: what comes next, `activation` or the `sum` that ends a residual block; before a sum, a norm with a
                built-in activation leaves the activation out.

        Raises:
            ValueError: the norm cannot normalize maps of this shape.
        """
        norm = make_norm(self._norm, channels, size, before, replicates=self.replicates)
        norm.is_in_norms_place = True  # type: ignore[assignment]
        return norm

    def activation(self, channels: int, *, after: After = "norm", input_is_shared: bool = False) -> nn.Module:
        """The activation for maps of N x channels x height x width: an in-place ReLU unless the norm has its own.

        Args:
            after: what comes before the activation, the `norm` or the `sum` that ends a residual block.
            input_is_shared: whether the input of the preceding norm (or, after a sum, the activation's own input) is
                also used elsewhere, for example by the shortcut of a pre-activation block. The activation must then
                not overwrite that tensor, which without a norm is the activation's own input.
        """
        in_place = not (input_is_shared and (self._norm.name == "none" or after == "sum"))
        return make_activation(self._norm, self.replicates * channels, after, in_place=in_place)

    def end_branch(self, conv: nn.Conv2d, norm: nn.Module | None) -> None:
        """Make a residual branch start at zero if `residual_init` is `zero`; to be called with its last layers.

        Args:
            conv: the branch's last convolution.
            norm: the norm after it, if any.

        Raises:
            ValueError: the branch should start at zero but has no parameter that could make it zero.
        """
        if not self._zero:
            return
        if getattr(norm, "weight", None) is not None:
            assert norm is not None
            start_at_zero(norm, "weight")
        elif norm is not None and not isinstance(norm, nn.Identity):
            raise ValueError(
                "residual_init 'zero' needs a norm with a learned scale, or no norm, "
                f"but got norm {self._norm.name!r} without one"
            )
        elif isinstance(conv, StandardizedConv2d):
            raise ValueError(
                "residual_init 'zero' needs weights that can be zero or a norm with a learned scale after them, "
                f"but got weight 'standardized' and norm {self._norm.name!r}; use weight 'normalized' or another norm"
            )
        else:
            start_at_zero(conv, "g" if isinstance(conv, NormalizedConv2d) else "weight")

    def linear(self, in_features: int, out_features: int, *, init: ClassifierInit | None = None) -> nn.Linear:
        """A linear layer with bias; its weights are never reparametrized.

        Args:
            init: distribution of its initial weights; None is the classifier's.
        """
        if self.replicates == 1:
            linear = nn.Linear(in_features, out_features)
        else:
            linear = StackedLinear(self.replicates, in_features, out_features)
        draw_as(linear, init or self._classifier_init)
        return linear


def norms_of(model: nn.Module) -> dict[str, nn.Module]:
    """The modules of a network that `Layers.norm` made, by name, in the order in which the network was built."""
    return {name: module for name, module in model.named_modules() if hasattr(module, "is_in_norms_place")}
