"""The text of a new sweep file, with comments, from a few choices."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wsnet.config.data import OWN_SETS, DataConfig
from wsnet.config.datasets import IMAGE_SETS
from wsnet.config.errors import ConfigError, Mistake, counted, did_you_mean
from wsnet.config.norm import NormConfig
from wsnet.config.own_class import OwnClass, is_own
from wsnet.config.reading.messages import variant_name, variants
from wsnet.config.reading.other_names import norm_called
from wsnet.config.reading.own_files import data_config
from wsnet.config.reading.yaml_lines import parse_value

__all__ = ["Choices", "Images", "checked_model", "checked_norm", "images_of", "new_sweep"]

_OWN_MODELS = {
    "tiny": {
        "cifar_resnet": "depth: 8, width: 8",
        "preact_resnet": "depth: 8, width: 8",
        "wrn": "depth: 10, widening: 1",
    },
    "small": {
        "cifar_resnet": "depth: 20",
        "resnet": "depth: 18, stem: cifar",
        "preact_resnet": "depth: 20",
        "wrn": "depth: 28, widening: 10",
        "cifar_resnext": "depth: 29, cardinality: 8, group_width: 64",
        "cifar_densenet": "depth: 40, growth_rate: 12",
        "vgg": "depth: 16, layout: cifar",
    },
    "large": {"resnet": "depth: 50", "resnext": "depth: 50", "densenet": "depth: 121", "vgg": "depth: 16"},
}
"""Networks with their options, by how large the images are."""
_GROUPS = {"tiny": 4, "cifar_resnet": 8, "preact_resnet": 8, "wrn": 8, "cifar_densenet": 4}
"""Groups that divide the channels of all layers; 32 for other networks."""
_VGG_FROM = 32
_TINY_BELOW, _LARGE_FROM = 16, 64
"""Pixels."""


@dataclass(frozen=True)
class Images:
    """An image set, and what suits images of its size.

    Attributes:
        section: what stands in `base.data`.
        size: height or width in pixels, the smaller one.
        train: training images.
    """

    section: str
    size: int
    train: int

    @property
    def kind(self) -> str:
        """tiny, small or large."""
        return "tiny" if self.size < _TINY_BELOW else "small" if self.size < _LARGE_FROM else "large"

    @property
    def models(self) -> dict[str, str]:
        """The networks that take these images, with their options; the first is the default."""
        return {n: o for n, o in _OWN_MODELS[self.kind].items() if n != "vgg" or self.size >= _VGG_FROM}

    @property
    def batch_sizes(self) -> list[int]:
        """The default."""
        return {"tiny": [1, 8, 64], "small": [128], "large": [256]}[self.kind]

    @property
    def epochs(self) -> int:
        """The default."""
        return {"tiny": 3, "small": 30, "large": 90}[self.kind]


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What to compare.

    Attributes:
        images: the image set.
        model: the network.
        norms: names, each with `+ws` for standardized weights, such as `group+ws`.
        batch_sizes: one is fixed, several are the table's columns.
        rates: learning rates; several are chosen from on the validation split. None is usual ones.
        seeds: of each setting.
        epochs: of each trial.
    """

    images: Images
    model: str
    norms: Sequence[str]
    batch_sizes: Sequence[int]
    rates: Sequence[float] = ()
    seeds: int = 5
    epochs: int


def images_of(name: str, *, file: Path) -> Images:
    """The image set of a name, or in a folder.

    Args:
        name: an image set, or the path of a folder with one of your own.
        file: the sweep file.

    Raises:
        ConfigError: there is no such set.
    """
    sets = [known for known in IMAGE_SETS if known not in OWN_SETS]
    if name in sets:
        facts = IMAGE_SETS[name]
        augment = {"digits": "{crop_padding: 1}", "imagenet": "{flip: true}"}.get(
            name, "{crop_padding: 4}" if "mnist" in name else "{crop_padding: 4, flip: true}"
        )
        validation = {"digits": 300, "imagenet": 50_000}.get(name, 5000)
        return Images(f"{{name: {name}, validation: {validation}, augment: {augment}}}", facts.shape[1], facts.train)
    if not Path(name).is_dir():
        hint = did_you_mean(name, sets, otherwise=f"; there are {', '.join(sets)}, or the folder of your own images")
        raise ConfigError([Mistake("--data", "", f"neither an image set nor a folder: {name!r}{hint}")])
    return _own_images(Path(name), file)


def _own_images(folder: Path, file: Path) -> Images:
    kind = "parquet" if any(folder.glob("*.parquet")) else "folder"
    try:
        found: DataConfig = data_config(name=kind, path=str(folder))
    except ValueError as error:
        raise ConfigError([Mistake("--data", "", f"{folder} has no images that can be used: {error}")]) from None
    _, height, width = found.facts.shape
    # A relative path leads out of the file's folder, which may have to be made first.
    path = os.path.relpath(folder, file.parent) if file.parent.is_dir() else str(folder.absolute())
    size = min(height, width)
    flip = "augment: {flip: true}"
    section = f"{{name: {kind}, path: {json.dumps(path)}, size: {size}, validation: {found.facts.train // 10}, {flip}}}"
    return Images(section, size, found.facts.train)


def new_sweep(choices: Choices, *, name: str) -> str:
    """The text of the file.

    Args:
        choices: what to compare; its network and its norms are checked.
        name: of the sweep.

    """
    cases = "\n".join(f"  - {_case(norm, choices)}" for norm in choices.norms)
    axes: dict[str, list[float]] = {"train.batch_size": list(choices.batch_sizes), "optim.lr": list(choices.rates)}
    grid = "".join(f"  {key}: {json.dumps(values)}\n" for key, values in axes.items() if len(values) > 1)
    settings = len(choices.norms) * len(choices.batch_sizes) * max(1, len(choices.rates))
    word = re.sub(r"[^\w.-]+", "_", name)
    several = len(choices.batch_sizes) > 1
    batch_size = "" if several else f", batch_size: {choices.batch_sizes[0]}"
    return _TEMPLATE.format(
        name=json.dumps(word) if not isinstance(parse_value(word), str) else word,
        question=f"Which normalization is best: {', '.join(choices.norms)}?",
        count=f"{counted(settings, 'setting')} x {counted(choices.seeds, 'seed')} = {settings * choices.seeds} trials",
        data=choices.images.section,
        model=f"{{name: {choices.model}, {choices.images.models[choices.model]}}}",
        optim=_optim(choices),
        train=f"{{epochs: {choices.epochs}{batch_size}, drop_last: true}}",
        cases=cases,
        grid=f"# Every case is trained with every combination of these values.\ngrid:\n{grid}" if grid else "",
        seeds=choices.seeds,
        columns="  columns: train.batch_size\n" if several else "",
        select=_SELECT if len(choices.rates) > 1 else "",
        compare=_compare(choices.norms),
    )


def _case(norm: str, choices: Choices) -> str:
    name, _, weight = norm.partition("+")
    groups = _GROUPS.get(choices.images.kind) or _GROUPS.get(choices.model) or 32
    parts = [f"model.norm.name: {json.dumps(name) if is_own(name) else name}"]
    parts += [f"model.norm.groups: {groups}"] if name in ("group", "evonorm_s0") else []
    parts += ["model.weight: standardized"] if weight else []
    return "{" + ", ".join(parts) + "}"


def _compare(norms: Sequence[str]) -> str:
    """`report.compare`: every norm against the first; a comment if there is only one."""
    name, _, weight = norms[0].partition("+")
    against = f"model.norm.name: {json.dumps(name) if is_own(name) else name}"
    if any(norm != norms[0] and norm.partition("+")[0] == name for norm in norms):
        against += f", model.weight: {'standardized' if weight else 'none'}"
    declared = f"compare: {{against: {{{against}}}}}\n"
    if len(norms) == 1:
        return f"  # With a second norm, this declares what is tested for significance:\n  # {declared}"
    return f"  # Every other norm is tested against this one; tests must be declared before the run.\n  {declared}"


def checked_model(name: str, images: Images) -> str:
    """The name of a network that takes these images.

    Raises:
        ConfigError: it does not.
    """
    if name not in images.models:
        rule = f"must be a network for images of {images.size} pixels: {', '.join(images.models)}"
        raise ConfigError([Mistake("--model", "", f"{rule}; but got {name!r}")])
    return name


def checked_norm(norm: str) -> None:
    """Check a norm, as `Choices` has it.

    Raises:
        ConfigError: there is no such norm.
    """
    name, plus, weight = norm.partition("+")
    known = [variant_name(kind) for kind in variants(NormConfig) if not issubclass(kind, OwnClass)]
    if name not in known and not is_own(name):
        hint = did_you_mean(
            norm_called(name) or name,
            known,
            otherwise=f"; there are {', '.join(known)}, or a file.py:Class of your own",
        )
        raise ConfigError([Mistake("--norms", "", f"unknown norm {name!r}{hint}")])
    if plus and weight != "ws":
        rule = "after the norm, only +ws (standardized weights) may stand"
        raise ConfigError([Mistake("--norms", "", f"{rule}, but got {norm!r}")])


def _optim(choices: Choices) -> str:
    rate = f"lr: {choices.rates[0]}, " if len(choices.rates) == 1 else ""
    if choices.images.kind == "tiny":
        rate = rate or ("" if choices.rates else "lr: 0.005, ")
        return f" {{name: adam, {rate}schedule: {{name: cosine}}}}"
    rate = rate or ("" if choices.rates else "lr: 0.1, ")
    base = {"small": 128, "large": 256}[choices.images.kind]
    return (
        f"\n    # Learning rates are for batches of {base} images, and scale with the batch size.\n"
        f"    {{name: sgd, {rate}momentum: 0.9, weight_decay: 1e-4, scale_with_batch: {{rule: linear, base: {base}}},\n"
        f"     schedule: {{name: cosine}}}}"
    )


_SELECT = "  # Each cell shows the learning rate that is best on the validation images.\n" + (
    "  select: {over: [optim.lr], by: validation/top1_error}\n"
)

_TEMPLATE = """\
# {count}. --dry-run says what this trains and for how long, --smoke tests whether it works.
name: {name}
question: "{question}"
# One trial. The cases and the grid below change parts of it.
base:
  # `validation` images are held out of the training set, to choose on; the test set is only reported.
  data: {data}
  model: {model}
  optim:{optim}
  # drop_last leaves out an epoch's last batch if it is smaller than the others.
  train: {train}
# The rows of the table: changes that belong together.
cases:
{cases}
{grid}# Each setting is trained with this many seeds; the table has their median, lowest and highest value.
seeds: {seeds}
report:
  rows: [model.norm.name, model.weight]
{columns}  metric: test/top1_error
  statistic: median
{select}{compare}"""
