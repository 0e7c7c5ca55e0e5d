"""What schedulers save and lose: their decisions replayed on recorded learning curves.

    python benchmarks/asha.py
    python benchmarks/asha.py --record FOLDER   # of benchmarks/asha_curves.yaml, trained to the end

Each setting of the curves has 6 seeds. Each of the 20 ways to choose 3 of them is a sweep in which every scheduler
decides. Its trials run on 4 slots; an epoch takes 0.8 to 1.2 units of time, drawn anew for each sweep. The best setting
is the one with the lowest median over the same 3 seeds after full training.

- epochs: trained, as a share of full training.
- best kept: how often the best setting is trained to the end with all its seeds, and with at least one.
- split: settings whose seeds ended at different epochs.
"""

import argparse
import heapq
import itertools
import json
import random
import statistics
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

from ray.tune.schedulers import ASHAScheduler

from wsnet.config.schedulers import AshaConfig, HyperbandConfig, MedianConfig, RungConfig
from wsnet.storage import Folder, Manifest, trial_directory
from wsnet.sweep.schedulers.brackets import brackets_of

CURVES = Path(__file__).parent / "asha_curves.json"
METRIC, SEEDS, SLOTS, ETA = "validation/top1_error", 3, 4, 3
RAYS = "Ray's ASHAScheduler"

Curves = dict[str, dict[str, list[float]]]
"""Errors by setting and seed, one for each epoch."""

Trial = tuple[str, str]
"""A setting and a seed."""


class Replay(Protocol):
    """A scheduler on recorded curves."""

    def next(self) -> Trial | None:
        """The trial to run on a free slot, if there is one."""

    def reported(self, trial: Trial, epoch: int, error: float) -> bool:
        """Whether a trial keeps its slot after an epoch, if that is not its last."""


class Settings:
    """One of wsnet's schedulers that compare settings."""

    def __init__(self, config: RungConfig, curves: Curves) -> None:
        self.epochs = dict.fromkeys(((setting, seed) for setting in curves for seed in curves[setting]), 0)
        self.running: set[Trial] = set()
        seeds = {setting: [f"{setting} {seed}" for seed in curves[setting]] for setting in curves}
        self.brackets = brackets_of(config, length(curves), seeds)

    def next(self) -> Trial | None:
        """See `Replay`."""
        ready = [trial for trial in self.epochs if trial not in self.running and self.may_run(trial)]
        if not ready:
            return None
        trial = max(ready, key=lambda ready: self.epochs[ready])  # The first of those that are furthest.
        self.running.add(trial)
        return trial

    def may_run(self, trial: Trial) -> bool:
        """Whether it has an epoch to train before the next decision about its setting."""
        bracket = self.brackets[trial[0]]
        limit = bracket.stopped_at(trial[0]) or bracket.next_rung(trial[0])
        return limit is None or self.epochs[trial] < limit

    def reported(self, trial: Trial, epoch: int, error: float) -> bool:
        """See `Replay`."""
        self.epochs[trial] = epoch
        bracket = self.brackets[trial[0]]
        if epoch in bracket.rungs:
            bracket.measured(" ".join(trial), epoch, error)
            bracket.decide()
        if self.may_run(trial):
            return True
        self.running.discard(trial)
        return False


class Trials:
    """Ray's own ASHA, which compares single trials. The first seed of every setting comes first, as in a sweep."""

    def __init__(self, config: AshaConfig, curves: Curves) -> None:
        options = {"max_t": length(curves), "grace_period": config.grace, "reduction_factor": config.eta}
        self.asha = ASHAScheduler(time_attr="epoch", metric=METRIC, mode="min", **options)
        seeds = dict.fromkeys(seed for by_seed in curves.values() for seed in by_seed)
        self.queue = [(setting, seed) for seed in seeds for setting in curves if seed in curves[setting]]
        self.stand_ins = {trial: SimpleNamespace(trial_id=" ".join(trial)) for trial in self.queue}
        for stand_in in self.stand_ins.values():
            self.asha.on_trial_add(None, stand_in)

    def next(self) -> Trial | None:
        """See `Replay`."""
        return self.queue.pop(0) if self.queue else None

    def reported(self, trial: Trial, epoch: int, error: float) -> bool:
        """See `Replay`."""
        result = {"epoch": epoch, METRIC: error}
        return bool(self.asha.on_trial_result(None, self.stand_ins[trial], result) == ASHAScheduler.CONTINUE)


def length(curves: Curves) -> int:
    return max(len(errors) for by_seed in curves.values() for errors in by_seed.values())


def replayed(replay: Replay, curves: Curves, draw: int) -> dict[Trial, int]:
    """How many epochs each trial is trained."""
    source = random.Random(draw)
    epochs = {(setting, seed): 0 for setting in curves for seed in curves[setting]}
    events: list[tuple[float, Trial]] = []
    now = 0.0
    while True:
        while len(events) < SLOTS and (trial := replay.next()) is not None:
            heapq.heappush(events, (now + source.uniform(0.8, 1.2), trial))
        if not events:
            return epochs
        now, trial = heapq.heappop(events)
        epochs[trial] += 1
        errors = curves[trial[0]][trial[1]]
        stays = replay.reported(trial, epochs[trial], errors[epochs[trial] - 1]) and epochs[trial] < len(errors)
        if stays:
            heapq.heappush(events, (now + source.uniform(0.8, 1.2), trial))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", metavar="FOLDER", help="read the curves from the folder of a sweep, and store them")
    parser.add_argument("--grace", type=int, nargs="+", default=[1, 3, 9], help="first rungs (default: 1 3 9)")
    arguments = parser.parse_args()
    if arguments.record:
        record(Folder(arguments.record))
    curves: Curves = json.loads(CURVES.read_text())["curves"]
    draws = list(itertools.combinations(sorted(dict.fromkeys(seed for s in curves.values() for seed in s)), SEEDS))
    epochs, settings = length(curves), len(curves)
    print(f"{settings} settings x {SEEDS} of 6 seeds x {epochs} epochs, {len(draws)} draws, eta {ETA}")
    print("\n| grace | scheduler | epochs | best kept, all seeds | one seed | split |\n| --- " + "| --- " * 5 + "|")
    for grace, name in itertools.product(arguments.grace, schedulers(1)):
        options = schedulers(grace)[name]
        found = [outcome(options, chosen(curves, seeds), draw) for draw, seeds in enumerate(draws)]
        shares, kept, touched, split = zip(*found, strict=True)
        of, share = len(draws), statistics.mean(shares)
        counts = f"{sum(kept)} of {of} | {sum(touched)} of {of} | {sum(split)} of {settings * of}"
        print(f"| {grace} | {name} | {share:.1%} | {counts} |")


def schedulers(grace: int) -> dict[str, RungConfig]:
    found: dict[str, RungConfig] = {RAYS: AshaConfig(name="asha", grace=grace, eta=ETA, compare="trials")}
    for mode in ("async", "sync"):
        found[f"asha, {mode}"] = AshaConfig(name="asha", mode=mode, grace=grace, eta=ETA, compare="settings")
        found[f"hyperband, {mode}"] = HyperbandConfig(name="hyperband", mode=mode, grace=grace, eta=ETA, brackets=2)
        found[f"median, {mode}"] = MedianConfig(name="median", mode=mode, grace=grace, interval=3)
    return found


def chosen(curves: Curves, seeds: tuple[str, ...]) -> Curves:
    return {setting: {seed: by_seed[seed] for seed in seeds} for setting, by_seed in curves.items()}


def outcome(config: RungConfig, curves: Curves, draw: int) -> tuple[float, bool, bool, int]:
    """The share of epochs, whether the best setting was kept with all and with any of its seeds, and settings split."""
    is_rays = isinstance(config, AshaConfig) and config.compare == "trials"
    epochs = replayed(Trials(config, curves) if is_rays else Settings(config, curves), curves, draw)
    full = length(curves)
    best = min(curves, key=lambda setting: statistics.median(errors[-1] for errors in curves[setting].values()))
    ends = {setting: [epochs[setting, seed] for seed in curves[setting]] for setting in curves}
    is_best_kept = [end == full for end in ends[best]]
    split = sum(len(set(seeds)) > 1 for seeds in ends.values())
    return sum(epochs.values()) / (full * len(epochs)), all(is_best_kept), any(is_best_kept), split


def record(sweep: Folder) -> None:
    """Store the curves of the seeds that every setting has finished."""
    manifest = Manifest.read(sweep)
    curves: Curves = {}
    for entry in manifest.trials:
        directory = trial_directory(sweep, entry.trial_id)
        status = directory.status()
        if status is not None and status.status == "finished":
            errors = [round(record[METRIC], 2) for record in directory.records()]
            curves.setdefault(entry.name.rpartition("-s")[0], {})[str(entry.seed)] = errors
    common = set.intersection(*(set(by_seed) for by_seed in curves.values()))
    kept = {setting: {seed: by_seed[seed] for seed in sorted(common)} for setting, by_seed in curves.items()}
    made = "python run_sweep.py benchmarks/asha_curves.yaml, then python benchmarks/asha.py --record runs/asha_curves"
    CURVES.write_text(json.dumps({"made by": made, "metric": METRIC, "curves": kept}) + "\n")


if __name__ == "__main__":
    main()
