"""The two stages of a sweep file: each reads the same cases and grid, with its own overrides and seeds."""

from dataclasses import replace

from wsnet.config.errors import Keys, Mistake
from wsnet.config.reading.keys import NOT_AN_AXIS, covers
from wsnet.config.reading.located import Located
from wsnet.config.reading.sweep_file import SweepFile
from wsnet.config.schedulers import FifoConfig
from wsnet.config.sweep import ReportConfig, StagesConfig

__all__ = ["TUNING", "confirming", "mistakes_of_stages", "tuning"]

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
    """Nothing to choose over; seeds in both stages; and overrides that are unknown, or that cases or the grid vary."""
    found: list[tuple[Keys, str]] = []
    if file.config.report.select is None:
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
