"""docs/sweep-file.md: the reference of sweep files, written from the configuration classes."""

from collections.abc import Iterable

from wsnet.config.reading.reference import KeyEntry, of_sweep, of_trial

__all__ = ["EXAMPLES", "reference_page"]

EXAMPLES = {
    "cases, grid, seeds": """\
cases:                                  # overrides that belong together; here the norms that are compared
  - {model.norm.name: batch}
  - {model.norm.name: group, model.norm.groups: 4, model.weight: standardized}
  - {model.norm.name: online, grid: {model.norm.forward_decay: [0.99, 0.999]}}   # with a grid of its own
grid:                                   # every case is combined with every value of every axis
  train.batch_size: [8, 32]
  optim.lr: [0.03, 0.1]
seeds: 5                                # seeds 0 to 4; or a list, such as [7, 8, 9]
""",
    "search": """\
search: {name: random, samples: 20}     # 20 settings of each case instead of every combination
grid:
  optim.lr: {log_uniform: [0.001, 1]}
  optim.momentum: {one_minus_log_uniform: [0.9, 0.999]}
  train.batch_size: [8, 32, 128]        # a list may stand beside ranges
""",
    "scheduler": """\
scheduler: {name: asha, grace: 1, eta: 3}
seeds: 3                                # all seeds of a setting stop or continue together
""",
    "stages": """\
grid: {optim.lr: [0.01, 0.03, 0.1]}
report: {select: {over: [optim.lr]}}
stages:
  tune: {seeds: 2, set: {train.epochs: 2}}
  confirm: {set: {data.validation: 0}}
""",
    "resources": """\
resources: {cpus_per_worker: 1, max_concurrent: 2, stall_timeout: 10min}
""",
    "report": """\
grid: {model.norm.name: [batch, instance, layer], train.batch_size: [8, 32]}
report:
  rows: [model.norm.name]
  columns: train.batch_size
  metric: test/top1_error
  compare: {against: {model.norm.name: batch}, at: {train.batch_size: [8]}}
""",
    "data": """\
base:
  data: {name: digits, validation: 300, augment: {crop_padding: 1, mixup: {alpha: 0.2}}}
""",
    "model": """\
base:
  model: {name: cifar_resnet, depth: 20, width: 16, weight: standardized, norm: {name: group, groups: 8}}
""",
    "model.norm": """\
base:
  model: {name: cifar_resnet, depth: 8, norm: {name: online, forward_decay: 0.999, backward_decay: 0.99}}
""",
    "optim": """\
base:
  optim:
    {name: sgd, lr: 0.1, momentum: 0.9, weight_decay: 1e-4, scale_with_batch: {rule: linear, base: 128},
     schedule: {name: multistep, milestones: [1, 2], gamma: 0.1, warmup_epochs: 0.5}}
""",
    "train": """\
base:
  train: {epochs: 3, batch_size: 32, micro_batch_size: 8, evaluation_statistics: {name: recomputed}}
""",
    "execution": """\
base:
  execution: {device: cpu, threads: 1}
""",
}
"""By section: a part of a sweep file that uses it. A test reads each of them as part of a whole file."""

_HEAD = """\
# The sweep file

Written by `python -m wsnet.config reference` from the classes that read the files, so it lists exactly what they take.
`python -m wsnet.config keys SECTION` prints a part of it in a terminal (`keys norm`, `keys optim.schedule`), and
`python -m wsnet.config schema` prints a JSON schema, with which an editor completes keys and marks mistakes.

A sweep file is YAML 1.2. `base` holds the configuration of one trial: the sections [data](#data), [model](#model),
[optim](#optim), [train](#train) and [execution](#execution). `cases` and `grid` say what varies, with dotted keys:

- **settings = cases x grid**; **trials = settings x seeds**. A setting that comes twice is trained once.
- What a case or the grid sets replaces what `base` holds. A value that is a mapping replaces the whole section.
- Every key of a trial that changes its numbers may be an axis. `seed` may not: `seeds` counts the seeds.
- `--set KEY=VALUE` on the command line replaces a value for one run, in every case (`--set train.epochs=5`).
- An axis is a list, or, with a [search](#search) other than `grid`, a range:

| range | is uniform in | for |
| --- | --- | --- |
| `{uniform: [low, high]}` | x | |
| `{log_uniform: [low, high]}` | log(x), 0 < low | learning rates, weight decay |
| `{one_minus_log_uniform: [low, high]}` | log(1 - x), high < 1 | decay factors, momentum |

- A range gives numbers with fractions. A key that takes whole numbers, such as `train.batch_size`, takes a list.

In the tables below, "only" names the variants of a section (the values of its `name`) that take a key, if not all do.
*Unset* means that the key may be left out, or be `null`. A section may be left out if all its keys have defaults.
"""

_SECTIONS = {
    "The sweep": ("name", "question", "base", "cases", "grid", "seeds"),
    "search": ("search",),
    "scheduler": ("scheduler",),
    "stages": ("stages",),
    "resources": ("resources",),
    "report": ("report",),
    "data": ("data",),
    "model": ("model",),
    "model.norm": ("model.norm",),
    "optim": ("optim",),
    "train": ("train",),
    "execution": ("execution",),
}
"""By heading: the sections and keys below it."""

_FURTHER = {
    "The sweep": "",
    "search": "[search.md](search.md) explains the methods.",
    "scheduler": "[schedulers.md](schedulers.md) explains the rules.",
    "stages": "[reports.md](reports.md#tune-then-confirm) explains the two stages.",
    "resources": "[execution.md](execution.md#what-each-trial-gets) says what `auto` chooses.",
    "report": "[reports.md](reports.md) shows the tables, figures and verdicts.",
    "data": "[data.md](data.md) has the image sets and files; [augmentation.md](augmentation.md) shows augmentations.",
    "model": "`python -m wsnet.models` lists the architectures with parameters, multiply-accumulates and memory.",
    "model.norm": "[norms.md](norms.md) compares the norms; [own-norm.md](own-norm.md) adds one of your own.",
    "optim": "[optimizers.md](optimizers.md) has the update rules and schedules.",
    "train": "",
    "execution": "[execution.md](execution.md) has the details. Nothing here changes a trial's identity.",
}


def reference_page() -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *map(_section, _SECTIONS)])


def _section(heading: str) -> str:
    shown = heading if heading == "The sweep" else f"`{heading}`"
    parts = [f"## {shown}\n"]
    if _FURTHER[heading]:
        parts.append(f"{_FURTHER[heading]}\n")
    example = EXAMPLES.get("cases, grid, seeds" if heading == "The sweep" else heading)
    if example is not None:
        parts.append(f"```yaml\n{example}```\n")
    rows = [_row(entry) for entry in _entries(heading)]
    parts.append("\n".join(["| key | takes | default | meaning |", "| --- | --- | --- | --- |", *rows]) + "\n")
    return "\n".join(parts)


def _entries(heading: str) -> Iterable[KeyEntry]:
    """The entries below a heading, without those of a longer heading."""
    roots = _SECTIONS[heading]
    others = [root for found in _SECTIONS.values() for root in found if root not in roots]
    for entry in (*of_sweep(), *of_trial()):
        place = max((root for root in (*roots, *others) if _below(entry.key, root)), key=len, default="")
        if place in roots:
            yield entry


def _below(key: str, root: str) -> bool:
    return key == root or key.startswith(f"{root}.")


def _row(entry: KeyEntry) -> str:
    only = f"*only {', '.join(entry.taken_by)}:* " if entry.taken_by else ""
    default = {"required": "*required*", "unset": "*unset*", "": ""}.get(entry.default, f"`{entry.default}`")
    cells = (f"`{entry.key}`", entry.kind, default, f"{only}{entry.about}")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
