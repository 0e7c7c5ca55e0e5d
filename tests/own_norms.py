"""Norms as users write them: two that are sound, and one for each thing that can be wrong."""

from typing import Any

import torch
from torch import Tensor, nn


class PowerNorm(nn.Module):
    """Each image over a power of its root mean square."""

    def __init__(self, num_features: int, power: float = 1.0, eps: float = 1e-5) -> None:
        super().__init__()
        self.power, self.eps = power, eps
        self.gain = nn.Parameter(torch.full((num_features, 1, 1), 2.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.square().mean((1, 2, 3), keepdim=True) + self.eps) ** (-self.power / 2) * self.gain


class Careless(PowerNorm):
    """Prints without end, and changes how torch computes convolutions from then on, in the whole process."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) == 8:  # Planning a sweep tries it with fewer images, in the driver.
            torch.backends.mkldnn.set_flags(False)  # type: ignore[no-untyped-call]
            for _ in range(20):
                print("0123456789" * 5000)
        return super().forward(x)


class StatisticsInFloat32(PowerNorm):
    def forward(self, x: Tensor) -> Tensor:
        square = x.float().square().mean((1, 2, 3), keepdim=True)
        return x * (square + self.eps) ** (-self.power / 2) * self.gain


class Sized(nn.Module):
    """A random scale for each element of a map."""

    def __init__(self, num_features: int, size: tuple[int, int], level: float = 1.0) -> None:
        super().__init__()
        if level <= 0:
            raise ValueError(f"level must be positive, but got {level}")
        self.weight = nn.Parameter(torch.rand(num_features, *size))
        self.level = level

    def reset_parameters(self) -> None:
        nn.init.uniform_(self.weight, 0.5, 1.5)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight * self.level


class Inner(nn.Module):
    """Batch norm inside of a norm."""

    def __init__(self, num_features: int, **options: Any) -> None:
        super().__init__()
        self.inner = nn.BatchNorm2d(num_features, **options)
        nn.init.constant_(self.inner.weight, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


class MovesInEvaluation(Inner):
    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            self.inner.running_mean += 0.1
        return self.inner(x)


class BatchInEvaluation(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean((0, 2, 3), keepdim=True)


class _Halved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        return grad / 2


class WrongBackward(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return _Halved.apply(x)


class Declared(WrongBackward):
    surrogate_gradient = "half is enough"


class _Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        return grad * ctx.saved_tensors[0]


class SavesItsOutput(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return _Square.apply(x)


class NoSingleImage(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        scale = x.std(0, keepdim=True) if self.training else 1.0
        return x / (scale + 1e-2)


class NoEps(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x / x.square().mean((1, 2, 3), keepdim=True).sqrt()


class FixedBatch(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.seen: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.seen is None or not self.training else x + 0 * self.seen
        self.seen = x.detach()
        return y


class ByMemory(nn.Module):
    """Takes the elements in the order in which they lie in memory for channels."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, num_features))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.as_strided((x.shape[0], x.numel() // x.shape[0]), (x.numel() // x.shape[0], 1))
        return (flat * self.weight.repeat_interleave(x.shape[2] * x.shape[3])).reshape(x.shape)


class HiddenState(nn.Module):
    """Its running mean is no buffer."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.mean = torch.zeros(num_features, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = x - self.mean.to(x.dtype)
        if self.training:
            self.mean = self.mean + 0.1 * x.detach().mean((0, 2, 3))[:, None, None]
        return y


class LowPrecision(nn.Module):
    """Sums squares in whatever precision comes in, around a large number."""

    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return (x + 1000) - 1000


class BranchesOnValues(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if float(x.detach().sum()) > 1e9 else x * 3


class AnotherShape(nn.Module):
    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class OncePerBatch(nn.Module):
    """Normalizes with what was before the batch."""

    running_mean: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(num_features, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = x - self.running_mean
        if self.training:
            self.running_mean = (
                self.running_mean + 0.1 * (x - self.running_mean).detach().mean((0, 2, 3))[:, None, None]
            )
        return y


class Stream(nn.Module):
    """Each image less the running mean of those before it."""

    running_mean: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(num_features, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x - self.running_mean
        out = []
        for image in x:
            out.append(image - self.running_mean)
            self.running_mean = self.running_mean + 0.1 * out[-1].detach().mean((1, 2), keepdim=True)
        return torch.stack(out)


class NoModule:
    def __init__(self, num_features: int) -> None:
        pass


class NotDetached(nn.Module):
    """Its running mean stays part of each batch's graph."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_features, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.mean((0, 2, 3)).view(-1, 1, 1)
        return x - self.mean
