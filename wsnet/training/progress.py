"""The live progress bar of a single trial."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

from wsnet.storage.trial_directory import Record
from wsnet.training.meter import Meter

__all__ = ["Bar"]

_REFRESH = 0.5
"""Seconds between readings of the meter: each one waits for the device."""

_WIDE = 110
"""Terminal width that fits everything on one line; in a narrower terminal the bar itself is left out."""


class Bar:
    """Shows each epoch as a bar, and as a line when it is over.

    The bar shows the seconds per step (waiting for data, and in total), time elapsed and left, loss, top-1 and top-5.

    Use it as a context manager; `step` is a `StepCallback`, `epoch` an `EpochCallback`.

    Args:
        epochs: epochs in all.
        steps: steps in an epoch.
        console: where to draw.
    """

    def __init__(self, *, epochs: int, steps: int, console: Console) -> None:
        self._epochs, self._steps, self._console = epochs, steps, console
        graphic = [BarColumn(bar_width=10, table_column=Column(no_wrap=True))] if console.width >= _WIDE else []
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
            *graphic,
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("data {task.fields[data]:.3f} batch {task.fields[batch]:.3f} s"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[measured]}", table_column=Column()),  # Wraps in a narrow terminal.
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=steps, epoch=1, data=0.0, batch=0.0, measured="")
        self._read_at = 0.0
        self._waited = 0.0
        self._began = time.perf_counter()

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def step(self, epoch: int, step: int, waited: float, meter: Meter) -> None:
        """Show a completed step."""
        if step == 0:
            self._waited, self._began = 0.0, time.perf_counter()
            self._progress.reset(self._task, total=self._steps, epoch=epoch, data=0.0, batch=0.0, measured="")
        self._waited += waited
        now = time.perf_counter()
        if now - self._read_at < _REFRESH:
            return
        self._read_at = now
        measured = meter.read(over_workers=False)
        text = f"loss {measured.loss:.4f} top-1 {100 - measured.top1_error:.2f} top-5 {100 - measured.top5_error:.2f}"
        batch = (now - self._began) / step if step else 0.0
        self._progress.update(
            self._task, completed=step + 1, data=self._waited / (step + 1), batch=batch, measured=text
        )

    def epoch(self, record: Record) -> None:
        """Print a completed epoch."""
        parts = [f"epoch {int(record['epoch']):>{len(str(self._epochs))}}/{self._epochs}", f"lr {record['lr']:.4g}"]
        for split in ("train", "validation", "test", "validation_ema", "test_ema"):
            if f"{split}/loss" in record:
                top1, top5 = (100 - record[f"{split}/top{k}_error"] for k in (1, 5))
                parts.append(f"{split} loss {record[f'{split}/loss']:.4f} top-1 {top1:.2f} top-5 {top5:.2f}")
        parts.append(f"{record['time/epoch_seconds']:.1f} s, {record['time/images_per_second']:.0f} images/s")
        self._console.print("  ".join(parts), highlight=False, markup=False, soft_wrap=True)
