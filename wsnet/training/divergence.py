"""Divergence noticed within an epoch, without making the host wait for the device at each step."""

from typing import Any

import torch
from torch import Tensor

from wsnet.training.distributed import sum_over_workers
from wsnet.training.meter import Meter

__all__ = ["TrainingMeter"]

_WINDOW = 25
"""Steps whose losses are looked at together: a handful of small kernels for thousands of a model."""


class TrainingMeter(Meter):
    """A meter that also says when to stop. Of a healthy training it changes no bit.

    A window of losses is judged on the device, by all workers together, and the verdict is read a window later, when it
    has long been there. So the step at which a training ends depends on its losses alone, not on timing, and all
    workers end at the same one.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self._steps = 0
        self._window: list[Tensor] = []
        self._verdict: _Verdict | _Known | None = None

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """See `Meter.add`."""
        super().add(loss, logits, labels)
        self._window.append(loss.detach())

    def has_diverged(self) -> bool:
        """Whether a loss was not finite, one to two windows ago; asked once after each step, by every worker."""
        self._steps += 1
        if self._steps % _WINDOW:
            return False
        before, self._verdict = self._verdict, _Verdict(self._window, self._counts.device)
        self._window = []
        return before is not None and before.read()

    def state(self) -> dict[str, Any]:
        """See `Meter.state`."""
        bad = None if self._verdict is None else self._verdict.read()
        window = [loss.cpu() for loss in self._window]
        return {**super().state(), "steps": self._steps, "window": window, "bad": bad}

    def restore(self, state: dict[str, Any]) -> None:
        """See `Meter.restore`."""
        super().restore(state)
        self._steps = state["steps"]
        self._window = [loss.to(self._counts.device) for loss in state["window"]]
        self._verdict = None if state["bad"] is None else _Known(state["bad"])


class _Known:
    """A verdict that was read before."""

    def __init__(self, bad: bool) -> None:
        self._bad = bad

    def read(self) -> bool:
        return self._bad


class _Verdict:
    """How many losses were not finite, on its way to the host."""

    def __init__(self, losses: list[Tensor], device: torch.device) -> None:
        # A worker without a share of a last, partial batch has one loss less than the others; it may even have none.
        bad = (~torch.isfinite(torch.stack(losses))).sum().float() if losses else torch.zeros((), device=device)
        sum_over_workers(bad)
        self._event = torch.cuda.Event() if device.type == "cuda" else None
        self._bad = bad.to("cpu", non_blocking=True)
        if self._event is not None:
            self._event.record(torch.cuda.current_stream(device))

    def read(self) -> bool:
        if self._event is not None:
            self._event.synchronize()
        return bool(self._bad.item())
