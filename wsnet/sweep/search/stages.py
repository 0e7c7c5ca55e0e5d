"""Tune, then confirm: the first stage's sweep, the choice among its candidates, the second stage's sweep."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from wsnet.config import Sweep
from wsnet.config.errors import counted
from wsnet.config.reading.stages import Chosen, confirmed

if TYPE_CHECKING:
    from wsnet.storage import Folder

__all__ = ["stages_to_show", "tune_then_confirm"]


def tune_then_confirm(
    tune: Callable[[], int],
    read: Callable[[], tuple[Sweep, Sweep]],
    train: Callable[[Sweep, Sweep], int],
    choose: "Callable[[Folder], Chosen]",
    storage: "Folder",
    console: Console,
) -> int:
    """Train the first stage, choose, and train the second. Both are resumed, like any sweep.

    Args:
        tune: trains the first stage; returns the exit status.
        read: reads the sweep of two stages; returns all of it, and the part to train.
        train: trains the second argument, a part of the first; returns the exit status.
        choose: chooses among the candidates of the sweep in a folder.
        storage: where results go.
        console: where to print.

    Returns:
        the first exit status that is not 0; 1 if some cell has no candidate with a result.
    """
    console.rule("1 of 2: tune", style="default")
    status = tune()
    if status not in (0, 1):
        return status
    whole, sweep = read()  # Once more: the first stage may have added candidates.
    assert whole.tuning is not None
    chosen = choose(storage / whole.tuning.config.name)
    second = confirmed(sweep, chosen)
    if chosen.undecided:
        cells = counted(chosen.undecided, "cell")
        console.print(f"{cells} of the table: no candidate has a result, so there is nothing to confirm")
        status = 1
    if not second.settings:
        return 1
    console.rule("2 of 2: confirm", style="default")
    return train(confirmed(whole, chosen), second) or status


def stages_to_show(sweep: Sweep, storage: "Folder", choose: "Callable[[Folder], Chosen]") -> list[Sweep]:
    """Both stages for `--dry-run`; where the first is not done, the second with each cell's first candidate.

    Args:
        sweep: a sweep of two stages.
        storage: where results go.
        choose: chooses among the candidates of the sweep in a folder.
    """
    assert sweep.tuning is not None
    folder = storage / sweep.tuning.config.name
    chosen = choose(folder) if folder.exists("sweep.json") else None
    if chosen is None or chosen.undecided:
        chosen = _first_candidates(sweep.tuning)
    return [sweep.tuning, confirmed(sweep, chosen)]


def _first_candidates(tuning: Sweep) -> Chosen:
    """As if the first candidate of every cell had been chosen."""
    select = tuning.config.report.select
    assert select is not None
    cells: dict[str, list[dict[str, Any]]] = {}
    for axes in (axes for setting in tuning.settings for axes in setting.places):
        apart = {key: value for key, value in axes.items() if key not in select.over}
        cells.setdefault(json.dumps(apart, sort_keys=True), []).append(axes)
    places: list[Mapping[str, str | None]] = [
        {axis: json.dumps(first[axis], ensure_ascii=False) if axis in first else None for axis in tuning.axes}
        for first, *_ in cells.values()
    ]
    return Chosen(places=places, candidates=max(map(len, cells.values())), undecided=0)
