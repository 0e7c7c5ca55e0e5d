"""Loss and errors of an epoch, read from the device once; and divergence, detected within the epoch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wsnet.distributed import sum_over_workers

__all__ = ["Measured", "Meter", "StackedMeter", "TrainingMeter"]

_HELD = 1 << 22
"""Logits held before they are counted (16 MiB as float32), so that most steps launch no kernels for counting."""

_WINDOW = 25
"""Steps whose losses are checked together: a handful of small kernels next to the thousands of a model."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Means over samples.

    Attributes:
        loss: cross-entropy in nats.
        top1_error: percent of samples whose label is not the top prediction.
        top5_error: percent of samples whose label is not in the top five predictions (or all, with fewer classes).
        samples: number of samples.
    """

    loss: float
    top1_error: float
    top5_error: float
    samples: int

    def named(self, split: str) -> dict[str, float]:
        """As record entries, `train/loss` and so on."""
        return {
            f"{split}/loss": self.loss,
            f"{split}/top1_error": self.top1_error,
            f"{split}/top5_error": self.top5_error,
        }


class Meter:
    """Collects losses and logits without waiting for the device.

    Reading it in between does not change the final bits: hits are integers, and losses are kept per batch and summed
    afresh by each reading.
    """

    def __init__(self, device: torch.device) -> None:
        self._counts = torch.zeros(3, dtype=torch.float64, device=device)  # top-1 hits, top-5 hits, samples
        self._loss_sums = torch.zeros(0, dtype=torch.float64, device=device)  # one per batch
        self._losses: list[Tensor] = []
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._held = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Note one batch.

        Args:
            loss: mean loss over the batch, ().
            logits: (B, classes).
            labels: int64 (B,).
        """
        self._losses.append(loss.detach())
        self._logits.append(logits.detach())
        self._labels.append(labels)
        self._held += logits.numel()
        if self._held > _HELD:
            self._count()

    def read(self, *, over_workers: bool = True) -> Measured:
        """The measurements so far; waits for the device. NaN if there are none."""
        self._count()
        sums = torch.cat([self._loss_sums.sum()[None], self._counts])
        if over_workers:
            sum_over_workers(sums)
        loss, top1, top5, samples = sums.tolist()
        if not samples:
            return Measured(loss=float("nan"), top1_error=float("nan"), top5_error=float("nan"), samples=0)
        return Measured(
            loss=loss / samples,
            top1_error=100 * (samples - top1) / samples,
            top5_error=100 * (samples - top5) / samples,
            samples=int(samples),
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything added so far, on the CPU; waits for the device."""
        self._count()
        return {"counts": self._counts.cpu(), "loss_sums": self._loss_sums.cpu()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from another meter's state."""
        device = self._counts.device
        self._counts, self._loss_sums = state["counts"].to(device), state["loss_sums"].to(device)

    def _count(self) -> None:
        if not self._losses:
            return
        sizes = torch.tensor([len(labels) for labels in self._labels], dtype=torch.float64, device=self._counts.device)
        self.count(torch.stack(self._losses), sizes, torch.cat(self._logits), torch.cat(self._labels))
        self._losses, self._logits, self._labels, self._held = [], [], [], 0

    def count(self, losses: Tensor, sizes: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count several batches at once.

        Args:
            losses: mean loss over each batch, (batches,).
            sizes: images in each batch, float64 (batches,).
            logits: (images, classes).
            labels: int64 (images,).
        """
        guesses = logits.topk(min(5, logits.shape[1])).indices
        hits = guesses == labels[:, None]
        self._loss_sums = torch.cat([self._loss_sums, losses.double() * sizes])
        self._counts += torch.stack([hits[:, 0].sum(), hits.sum(), sizes.sum()])


class TrainingMeter(Meter):
    """A meter that also says when to stop. It does not affect the results of a training that does not diverge.

    All workers together check a window of losses on the device, and read the verdict one window later, when it has long
    been computed. So the step at which a training stops depends only on its losses, not on timing, and is the same for
    all workers.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self._steps = 0
        self._window: list[Tensor] = []
        self._verdict: Callable[[], bool] | None = None  # of the previous window

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """See `Meter.add`."""
        super().add(loss, logits, labels)
        self._window.append(loss.detach())

    def count_steps(self, losses: Tensor, sizes: Tensor, logits: Tensor, labels: Tensor) -> bool:
        """Count several steps at once, none of which but the last ends a window; returns as `has_diverged` then does.

        The arguments are those of `count`.
        """
        self.count(losses, sizes, logits, labels)
        self._window.extend(losses.unbind())
        return self._has_diverged_after(len(losses))

    def has_diverged(self) -> bool:
        """Whether a loss one to two windows ago was not finite; every worker must call it once after each step."""
        return self._has_diverged_after(1)

    def _has_diverged_after(self, steps: int) -> bool:
        self._steps += steps
        if self._steps % _WINDOW:
            return False
        before, self._verdict = self._verdict, _verdict(self._window, self._counts.device)
        self._window = []
        return before is not None and before()

    def state_dict(self) -> dict[str, Any]:
        """See `Meter.state_dict`."""
        bad = None if self._verdict is None else self._verdict()
        window = [loss.cpu() for loss in self._window]
        return {**super().state_dict(), "steps": self._steps, "window": window, "bad": bad}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Meter.load_state_dict`."""
        super().load_state_dict(state)
        bad = state["bad"]
        self._steps = state["steps"]
        self._window = [loss.to(self._counts.device) for loss in state["window"]]
        self._verdict = None if bad is None else lambda: bool(bad)


class StackedMeter:
    """The meters of stacked replicates: each measures as if its replicate were trained alone.

    Steps are held until the end of a window, and then counted replicate by replicate. Those after the step at which a
    replicate's own training would have stopped do not count for it.

    Args:
        device: of the losses and logits.
        replicates: how many.
    """

    def __init__(self, device: torch.device, replicates: int) -> None:
        self._meters = [TrainingMeter(device) for _ in range(replicates)]
        self._has_stopped = [False] * replicates
        self._steps = 0
        self._held: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, losses: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Note one step.

        Args:
            losses: mean loss of each replicate's batch, (replicates,).
            logits: (B, replicates * classes).
            labels: int64 (B, replicates).
        """
        self._held.append((losses.detach(), logits.detach(), labels))

    def has_diverged(self) -> bool:
        """Whether all replicates have, each as `TrainingMeter.has_diverged` says; to be called once after each step."""
        self._steps += 1
        if self._steps % _WINDOW == 0:
            self._count()
        return all(self._has_stopped)

    def read(self) -> list[Measured]:
        """The measurements of each replicate so far; waits for the device."""
        self._count()
        return [meter.read() for meter in self._meters]

    def _count(self) -> None:
        if not self._held:
            return
        losses, logits, labels = zip(*self._held, strict=True)
        self._held = []
        sizes = torch.tensor([len(each) for each in labels], dtype=torch.float64, device=losses[0].device)
        of_each = torch.stack(losses), torch.cat(logits).unflatten(1, (len(self._meters), -1)), torch.cat(labels)
        for number, meter in enumerate(self._meters):
            if not self._has_stopped[number]:
                mine = [values[:, number] for values in of_each]
                self._has_stopped[number] = meter.count_steps(mine[0], sizes, *mine[1:])


def _verdict(losses: list[Tensor], device: torch.device) -> Callable[[], bool]:
    """Start checking whether any worker's loss is not finite; calling the result waits for the answer."""
    # A worker without a share of a last, partial batch has one loss fewer than the others; it may even have none.
    bad = (~torch.isfinite(torch.stack(losses))).sum().float() if losses else torch.zeros((), device=device)
    sum_over_workers(bad)
    on_host = bad.to("cpu", non_blocking=True)
    event = torch.cuda.Event() if device.type == "cuda" else None
    if event is not None:
        event.record(torch.cuda.current_stream(device))

    def read() -> bool:
        if event is not None:
            event.synchronize()
        return bool(on_host.item())

    return read
