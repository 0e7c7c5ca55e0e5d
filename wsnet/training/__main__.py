"""`python -m wsnet.training TRIAL.yaml`: train or evaluate a single trial, with the same results as in a sweep."""

import argparse
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wsnet.called import called, program
from wsnet.errors import Error

if TYPE_CHECKING:  # Functions import what they need, so that --help and mistakes in the file do not load torch.
    from collections.abc import Mapping

    from rich.console import Console

    from wsnet.storage import Folder
    from wsnet.storage.trial_directory import Record
    from wsnet.training.checkpoint import Checkpoint
    from wsnet.training.trial import Trial

_EXAMPLE = """\
A trial file holds the sections data, model, optim and train (and execution, seed), such as the trial.yaml of any trial
of a sweep:

  {train} runs/quickstart/trials/1a2b3c4d5e6f/trial.yaml --out alone
"""


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 diverged, 2 the input cannot be used, 130 interrupted."""
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except (Error, OSError) as error:  # Each says what to do about it, or (OSError) which file it is about.
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command resumes from the last checkpoint", file=sys.stderr)
        return 130
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program("train"),
        description="Train or evaluate a single trial, with the same results as in a sweep.",
        epilog=_EXAMPLE.format(train=called("train")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("trial", metavar="TRIAL.yaml", help="the trial's configuration")
    parser.add_argument("--out", metavar="DIR", help="the trial's directory (default: runs/alone/<trial id>)")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the image sets (default: $WSNET_DATA or ./data)")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="override an option")
    parser.add_argument(
        "--stack",
        metavar="SEEDS",
        type=_seeds,
        help="train it side by side with these seeds, such as 0,1,2,3,4, which changes its last bits; nothing of the "
        "others is kept (default: as the execution.json beside TRIAL.yaml says; its own seed alone: no others)",
    )
    checkpoint = parser.add_mutually_exclusive_group()
    checkpoint.add_argument("--resume", metavar="PATH", help="start from this checkpoint")
    checkpoint.add_argument(
        "--evaluate", metavar="PATH", help="print this checkpoint's loss and accuracy; do not train"
    )
    return parser


def _seeds(text: str) -> list[int]:
    """Of the command line; argparse tells a ValueError with the option's name."""
    return [int(seed) for seed in text.split(",")]


def _run(arguments: argparse.Namespace) -> int:
    from wsnet.config import read_trial

    config = read_trial(arguments.trial, arguments.set)
    from rich.console import Console

    from wsnet.data import data_root
    from wsnet.storage import Folder
    from wsnet.training.checkpoint import Checkpoint
    from wsnet.training.trial import Trial

    trial = Trial.prepare(config, root=data_root(arguments.data_root))
    console = Console()
    if arguments.evaluate:
        return _evaluate(trial, Checkpoint.load(arguments.evaluate), console)
    start = None
    if arguments.resume:
        start = Checkpoint.load(arguments.resume)
        trial = trial.begun_from(start, hashlib.sha256(Path(arguments.resume).read_bytes()).hexdigest())
    folder = Folder(arguments.out or f"runs/alone/{trial.trial_id}")
    return _train(trial, start, folder, _stack(arguments, trial, folder), console)


def _stack(arguments: argparse.Namespace, trial: "Trial", folder: "Folder") -> list[int]:
    """The seeds to train side by side; only its own, or none, if the trial is trained alone."""
    from wsnet.storage import Folder, TrialDirectory

    own, asked = trial.config.seed, arguments.stack
    if asked is None and arguments.resume is None:
        directories = (TrialDirectory(folder), TrialDirectory(Folder(Path(arguments.trial).parent)))
        records = (directory.execution() for directory in directories)
        stack = list(next((found.get("stack", ()) for found in records if found is not None), ()))
        return stack if own in stack else []  # With another seed it is another trial.
    if asked is None:
        return []
    if arguments.resume:
        raise Error("--resume starts one trial alone; leave out --stack")
    if own not in asked or len(set(asked)) < len(asked):
        given = ",".join(map(str, asked))
        raise Error(f"--stack must name different seeds, the trial's own seed {own} among them, but got {given}")
    return list(asked)


def _train(trial: "Trial", start: "Checkpoint | None", folder: "Folder", stack: list[int], console: "Console") -> int:
    from wsnet.config.reading.checks import small_last_batch_warning
    from wsnet.config.scaling import describe_scaling
    from wsnet.models import parameter_count
    from wsnet.training.fit import fit
    from wsnet.training.fit_stacked import fit_stacked
    from wsnet.training.progress import Bar

    config = trial.config
    parameters = parameter_count(config.model, classes=len(trial.images.classes), shape=config.data.facts.shape)
    _say(
        console,
        f"trial {trial.trial_id}: {config.model.name} with {config.model.norm.name} norm, {parameters:,} parameters; "
        f"{config.data.name}, {len(trial.images.train):,} training images; {config.execution.device}, "
        f"{config.execution.threads} threads",
    )
    scaled = describe_scaling(config)
    if scaled:
        _say(console, f"optim.scale_with_batch gives {scaled}")
    if (warning := small_last_batch_warning(config)) is not None:
        print(f"warning: {warning}", file=sys.stderr)
    with Bar(epochs=config.train.epochs, steps=config.steps_per_epoch, console=console) as bar:
        if len(stack) > 1:
            _say(console, f"side by side with seeds {', '.join(str(seed) for seed in stack if seed != config.seed)}")
            identity = trial.trial_id

            def report(records: "Mapping[str, Record]") -> tuple[str, ...]:
                bar.epoch(records[identity])
                return ()

            stacked, folders = trial.stacked(stack), {identity: folder}
            result = fit_stacked(stacked, report=report, checkpoint_dirs=folders)[identity]
        else:
            result = fit(trial, report=bar.epoch, checkpoint_dir=folder, watch=bar.step, start=start)
    _say(console, f"{result.status.status} after epoch {result.status.epoch}: {folder.location}")
    if result.status.message:
        _say(console, result.status.message)
    return 1 if result.status.status == "diverged" else 0


def _evaluate(trial: "Trial", checkpoint: "Checkpoint", console: "Console") -> int:
    from wsnet.config.trial import EMAConfig
    from wsnet.training.execution import applied
    from wsnet.training.loop import Training
    from wsnet.training.weight_average import WeightAverage

    with applied(trial.config):
        training = Training(trial)
        checkpoint.restore_model(training.model)
        average = None
        if checkpoint.ema:
            average = WeightAverage(training.model, EMAConfig(decay=0.0))  # Only evaluated, never updated.
            average.load_state_dict(checkpoint.ema)
        for split, measured in training.evaluation.measure(checkpoint.epoch, average).items():
            top1, top5 = 100 - measured.top1_error, 100 - measured.top5_error
            accuracy = f"top-1 {top1:.2f}  top-5 {top5:.2f}"
            _say(console, f"{split}: loss {measured.loss:.4f}  {accuracy}  ({measured.samples:,} images)")
    return 0


def _say(console: "Console", text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
