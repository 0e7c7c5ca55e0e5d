"""The second of two stages: the sweep with only the settings that the first stage chose."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from wsnet.config.reading.sweep import Sweep
from wsnet.config.scaling import learning_rate_rule
from wsnet.config.sweep import Tuned

__all__ = ["Chosen", "confirmed"]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What the first of two stages chose.

    Attributes:
        places: for each cell with a choice, the chosen setting's axes: dotted key to the value's JSON text, None where
            it does not have the key.
        candidates: how many candidates a cell has; the largest number if cells differ.
        undecided: number of cells in which no candidate has a result.
    """

    places: list[Mapping[str, str | None]]
    candidates: int
    undecided: int


def confirmed(sweep: Sweep, chosen: Chosen) -> Sweep:
    """The second stage, with only the candidates chosen.

    Args:
        sweep: a sweep with a first stage.
        chosen: what its first stage chose.
    """
    tuning = sweep.tuning
    assert tuning is not None and tuning.config.report.select is not None
    axes, select = tuning.axes, tuning.config.report.select

    def fits(place: dict[str, Any]) -> bool:
        text = {axis: json.dumps(place[axis], ensure_ascii=False) if axis in place else None for axis in axes}
        return any(text == dict(one) for one in chosen.places)

    tuned = Tuned(
        by=select.by,
        over=select.over,
        candidates=chosen.candidates,
        seeds=len(tuning.config.seed_list),
        sweep=tuning.config.name,
        learning_rate=learning_rate_rule(sweep.settings, select),
    )
    settings = [kept for setting in sweep.settings if (kept := setting.where(fits))]
    return replace(sweep, settings=settings, tuning=None, tuned=tuned, studies=())
