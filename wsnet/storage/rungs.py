"""A sweep's journal of verdicts, `rungs.jsonl`: what its scheduler decided about which trial at which rung."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Literal

from wsnet.storage.folder import Folder, StorageError

__all__ = ["RungJournal", "Verdict"]

_NAME = "rungs.jsonl"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a scheduler decided about one trial at one rung.

    Attributes:
        trial_id: the trial.
        rung: the epoch at which the scheduler decided.
        metric: the metric that it compared, such as `validation/top1_error`.
        value: the metric's value in the record of that epoch; None where it was not finite.
        verdict: whether the trial stops there or continues.
        setting_id: the trial's setting, if the verdict is about all seeds of a setting together; otherwise None.
        median: then the median over the setting's seeds that was compared; None where it was not finite.
    """

    trial_id: str
    rung: int
    metric: str
    value: float | None
    verdict: Literal["stop", "continue"]
    setting_id: str | None = None
    median: float | None = None


class RungJournal:
    """Reads and extends a sweep's journal: one JSON line per verdict, in the order in which they were reached.

    Args:
        sweep: the sweep's folder.
    """

    def __init__(self, sweep: Folder) -> None:
        self._sweep = sweep
        self._verdicts: dict[tuple[str, int], Verdict] = {}
        self._bytes = 0  # How many bytes of the file have been read; always whole lines.

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the journal and read what other processes have added. Verdicts must be reached within this context.

        Raises:
            StorageError: the file is not a journal.
        """
        with self._sweep.lock():
            self.refresh()
            yield

    def refresh(self) -> None:
        """Read what has been added since the last read.

        Raises:
            StorageError: the file is not a journal.
        """
        data = self._sweep.read(_NAME) or b""
        # Anything after the last newline was left by a write that was cut off.
        new = data[self._bytes : data.rfind(b"\n") + 1]
        try:
            for line in new.splitlines():
                verdict = Verdict(**json.loads(line))
                # The first verdict stands.
                self._verdicts.setdefault((verdict.trial_id, verdict.rung), verdict)
        except (ValueError, TypeError) as error:
            raise StorageError(f"{self._sweep.location}/{_NAME} is not a journal of verdicts: {error!r}") from None
        self._bytes += len(new)

    def verdicts(self) -> list[Verdict]:
        """Every verdict read so far, in the order in which they were reached."""
        return list(self._verdicts.values())

    def verdict(self, trial_id: str, rung: int) -> Verdict | None:
        """What was decided about a trial at a rung; None if nothing was."""
        return self._verdicts.get((trial_id, rung))

    def stops(self) -> dict[str, int]:
        """The trials that were stopped, and at which rung."""
        return {verdict.trial_id: verdict.rung for verdict in self._verdicts.values() if verdict.verdict == "stop"}

    def add(self, verdicts: list[Verdict]) -> None:
        """Append verdicts; they are on disk when this returns. Call it only within `held`."""
        if not verdicts:
            return
        data = b"".join(map(_line, verdicts))
        if self._sweep.size(_NAME) > self._bytes:  # The file ends with a partial line.
            self._sweep.write(_NAME, (self._sweep.read(_NAME) or b"")[: self._bytes] + data)
        else:
            self._sweep.append(_NAME, data)
        self._verdicts |= {(verdict.trial_id, verdict.rung): verdict for verdict in verdicts}
        self._bytes += len(data)


def _line(verdict: Verdict) -> bytes:
    # JSON has no NaN and no infinity.
    assert verdict.value is None or math.isfinite(verdict.value), verdict
    fields = asdict(verdict)
    if verdict.setting_id is None:
        del fields["setting_id"], fields["median"]
    return (json.dumps(fields, allow_nan=False) + "\n").encode()
