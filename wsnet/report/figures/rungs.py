"""What a scheduler did: the epochs that each setting has reached, and where it was stopped."""

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from wsnet.report.figures.style import COLOURS, GREY, add_legend, add_title, is_narrow, new_figure, stacked, wrap
from wsnet.report.figures.table import Table
from wsnet.report.names import setting_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_rungs", "was_stopped"]

_MOST_NAMED = 40
_ENDS = {
    "finished": ("o", COLOURS[0], "finished"),
    "stopped": ("|", COLOURS[1], "stopped"),
    "diverged": ("x", COLOURS[3], "diverged"),
    "other": (".", GREY, "under way or failed"),
}


@dataclass(frozen=True)
class _Reached:
    """A setting: its name, the epoch reached by the seed in the middle, how it ended, and its place in the order."""

    name: str
    epoch: float
    end: str


def was_stopped(table: Table) -> bool:
    """Whether a scheduler has stopped any trial."""
    return any(trial.status == "stopped" for trial in table.results.trials)


def draw_rungs(table: Table) -> "Figure":
    """One bar per setting, those that went furthest on top; without names where there are more than 40."""
    reached = _reached(table)
    named = len(reached) <= _MOST_NAMED
    narrow = is_narrow(table.width)
    names = [wrap(each.name, 24 if narrow else 44) if named else "" for each in reached]
    ys, lines = stacked(names)
    figure = new_figure(table.width, 0.7 + (0.115 * lines if named else min(5.0, 0.032 * lines)))
    axes = figure.subplots()
    for y, each in zip(ys, reached, strict=True):
        marker, colour, _ = _ENDS[each.end]
        axes.hlines(y, 0, each.epoch, color=colour, lw=1.4 if named else 0.7, alpha=0.45)
        axes.plot(each.epoch, y, marker, color=colour, ms=4 if named else 2.4, mew=1.3, ls="none", gid=each.end)
    axes.set_yticks(ys if named else [], names if named else [])
    if not named:
        axes.set_ylabel(f"{len(reached)} settings, furthest first")
    axes.set_ylim(lines, 0)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.set_xlabel("epochs trained")
    _mark_rungs(axes, table, reached)
    ends = [end for end in _ENDS if any(each.end == end for each in reached)]
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], marker=_ENDS[e][0], color=_ENDS[e][1], ls="none", ms=4, mew=1.3) for e in ends]
    add_legend(figure, handles, [_ENDS[end][2] for end in ends], below=table.title)
    if table.title:
        add_title(figure, table.results.header.question or table.results.header.name, table.results.header.name)
    return figure


def _reached(table: Table) -> list[_Reached]:
    """Every setting, those that were trained longest first."""
    header = table.results.header
    trials = {trial.trial_id: trial for trial in table.results.trials}.values()
    axes = {trial.setting_id: tuple(trial.axes[axis] for axis in header.axes) for trial in trials}
    names = setting_names(axes.values(), header.axes)
    found = []
    for setting, label in axes.items():
        seeds = [trial for trial in trials if trial.setting_id == setting]
        statuses = [trial.status for trial in seeds]
        ends = [end for end in ("stopped", "finished", "diverged") if end in statuses]
        end = max(ends, key=statuses.count, default="other")
        found.append(_Reached(names[label], median(trial.epoch for trial in seeds), end))
    return sorted(found, key=lambda each: -each.epoch)


def _mark_rungs(axes: "Axes", table: Table, reached: list[_Reached]) -> None:
    """Ticks at the epochs at which settings were stopped, and at the end; on a log axis where these are far apart."""
    stops = {each.epoch for each in reached if each.end == "stopped"}
    ticks = sorted({*stops, max((each.epoch for each in reached), default=1)})
    if ticks[0] > 0 and ticks[-1] / ticks[0] >= 8:
        from matplotlib.ticker import NullLocator

        axes.set_xscale("log")
        axes.set_xlim(max(0.5, ticks[0] / 2.5), ticks[-1] * 1.12)
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.set_xlim(0, ticks[-1] * 1.04)
    if len(ticks) <= 8:
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    elif axes.get_xscale() == "log":
        axes.set_xticks(ticks[:: -(-len(ticks) // 8)], [f"{tick:g}" for tick in ticks[:: -(-len(ticks) // 8)]])
