"""The two stages of a sweep file: the same cases and grid, each with its own overrides and seeds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from wsnet.config.errors import Keys, Mistake
from wsnet.config.reading.checked_sweep import Sweep
from wsnet.config.reading.keys import NOT_AN_AXIS, covers
from wsnet.config.reading.located import Located
from wsnet.config.reading.sweep_file import SweepFile
from wsnet.config.report import ReportConfig, Tuned
from wsnet.config.scaling import learning_rate_rule
from wsnet.config.schedulers import FifoConfig
from wsnet.config.sweep import StagesConfig

__all__ = ["TUNING", "Chosen", "confirmed", "confirming", "mistakes_of_stages", "tuning"]

TUNING = "-tune"
"""Suffix of the first stage's name."""

_STAGES: Keys = ("stages",)


def tuning(file: SweepFile, stages: StagesConfig) -> SweepFile:
    """The file as the first stage reads it: every candidate, and a report on the metric that decides."""
    config = file.config
    select = config.report.select
    assert select is not None, "mistakes_of_stages has found that there is nothing to choose over"
    report = ReportConfig(rows=config.report.rows, columns=config.report.columns, metric=select.by, select=select)
    update = {
        "name": config.name[: 80 - len(TUNING)] + TUNING,
        "question": f"{config.question or config.name} Tuning: {', '.join(select.over)}",
        "seeds": stages.tune.seed_list,
        "report": report,
        "stages": None,
    }
    return _with(file, "tune", stages.tune.set, update)


def confirming(file: SweepFile, stages: StagesConfig) -> SweepFile:
    """The file as the second stage reads it. No scheduler stops what is to be reported."""
    return _with(file, "confirm", stages.confirm.set, {"scheduler": FifoConfig(name="fifo")})


def mistakes_of_stages(file: SweepFile, stages: StagesConfig) -> list[Mistake]:
    """Nothing to choose over; seeds in both stages; and overrides that are unknown, or that cases or the grid vary.

    (If `report` could not be read, its mistakes are told instead of the first.)
    """
    found: list[tuple[Keys, str]] = []
    if file.config.report.select is None and file.has_report:
        rule = "needs report.select, which says what to choose over, such as {over: [optim.lr]}"
        found.append((_STAGES, rule))
    both = sorted(set(stages.tune.seed_list) & set(file.config.seed_list))
    if both:
        rule = f"must share no seed with the sweep's own seeds, but both have {', '.join(map(str, both[:3]))}"
        found.append((("stages", "tune", "seeds"), rule))
    varied = _varied(file)
    for stage, overrides in (("tune", stages.tune.set), ("confirm", stages.confirm.set)):
        for key in overrides:
            path: Keys = ("stages", stage, "set", key)
            if key in NOT_AN_AXIS:
                found.append((path, NOT_AN_AXIS[key]))
            elif key not in file.keys:
                found.append((path, file.keys.unknown(key)))
            elif other := next((name for name in varied if covers(name, key) or covers(key, name)), None):
                found.append((path, f"a case or a grid sets {other!r}, which would replace it; take it out of one"))
    return [file.mistake(path, text) for path, text in found]


def _with(file: SweepFile, stage: str, overrides: dict[str, object], update: dict[str, object]) -> SweepFile:
    """The file with a stage's overrides in `base` and some sections replaced."""
    written: dict[str, Located] = {}
    for key in overrides:
        path: Keys = ("stages", stage, "set", key)
        value = file.tree.at(path)
        assert value is not None, "only what the file holds is asked for"
        written[key] = replace(value, key=file.tree.spot(path).key)
    tree = file.tree.put(("base",), file.base.merged(written))
    return replace(file, tree=tree, config=file.config.model_copy(update=update))


def _varied(file: SweepFile) -> list[str]:
    keys = dict.fromkeys(file.config.grid)
    for case in file.config.cases:
        grid = case.get("grid")
        keys |= dict.fromkeys([*case, *(grid if isinstance(grid, dict) else ())])
    return [key for key in keys if isinstance(key, str)]


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
