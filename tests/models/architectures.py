"""From the rows of architectures.csv (published parameter counts) to our configurations: one function per family.

Nothing here is about one row: what a system does differently in all its nets is looked up by the system's name, and
the rest is read off the row.
"""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from wsnet.config.architectures import ModelConfig

ROWS = Path(__file__).parent.parent / "data" / "architectures.csv"

Options = dict[str, Any]
_ADAPTER: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)


@dataclass(frozen=True)
class Row:
    """One published architecture."""

    model: str
    dataset: str
    classes: int
    shape: tuple[int, int, int]
    norm: str
    settings: str
    seed: str
    """The system that publishes it."""
    parameters: int
    thop: int | None
    """Multiply-accumulates in thop's convention."""

    @property
    def setting(self) -> dict[str, str]:
        """The settings of the form key=value;key=value."""
        return dict(part.split("=", 1) for part in self.settings.split(";") if "=" in part)

    @property
    def numbers(self) -> list[int]:
        """The numbers in the model's name, such as 29, 8, 64."""
        return [int(number) for number in re.findall(r"\d+", self.model)]

    @property
    def is_imagenet(self) -> bool:
        return self.dataset == "ImageNet"

    def __str__(self) -> str:
        return "-".join(filter(None, (self.model, self.dataset, self.norm, self.settings, self.seed)))


def rows() -> list[Row]:
    """All rows of architectures.csv."""
    with ROWS.open(newline="") as file:
        return [
            Row(
                model=row["model"],
                dataset=row["dataset"],
                classes=int(row["num_classes"]),
                shape=tuple(int(side) for side in row["input_size"].split("x")),  # type: ignore[arg-type]
                norm=row["norm"],
                settings=row["settings"],
                seed=row["seed"],
                parameters=int(row["params_exact"]),
                thop=int(row["flops_recomputed"]) if row["flops_recomputed"] else None,
            )
            for row in csv.DictReader(file)
        ]


def config_of(row: Row) -> ModelConfig:
    """Our configuration of a row; KeyError where no family has its name."""
    prefix = max((prefix for prefix in FAMILIES if row.model.startswith(prefix)), key=len, default=row.model)
    weight = {"ws": "standardized", None: "none"}[row.setting.get("weight_reparam")]
    return _ADAPTER.validate_python({"norm": norm(row), "weight": weight, **FAMILIES[prefix](row)})


def norm(row: Row) -> Options:
    """The norm."""
    options: Options = {"name": row.norm}
    if row.norm == "group":
        options["groups"] = int(row.setting.get("groups") or row.setting["gn_groups"])
    if row.norm == "instance":
        options["affine"] = row.seed != "weight_normalization"
    return options


def alexnet(row: Row) -> Options:
    """AlexNet."""
    return {"name": "alexnet", "layout": "imagenet" if row.is_imagenet else "cifar"}


def vgg(row: Row) -> Options:
    """VGG; the VGG-like net says how many convolutions its stages have, beside three linear layers."""
    layers = row.setting.get("layers")
    depth = sum(map(int, layers.split("/"))) + 3 if layers else row.numbers[0]
    return {"name": "vgg", "depth": depth, "layout": "imagenet" if row.is_imagenet else "cifar"}


def resnet(row: Row) -> Options:
    """ResNet: torchvision's for ImageNet and with a named stem, else three stages."""
    if row.is_imagenet or "stem" in row.setting:
        return {"name": "resnet", "depth": row.numbers[0], "stem": stem(row)}
    return {"name": "cifar_resnet", **three_stages(row)}


def preact_resnet(row: Row) -> Options:
    """PreAct ResNet, with squeeze-and-excitation too."""
    options: Options = {"name": "preact_resnet", **three_stages(row)}
    options["width"] = 16 * int(row.setting.get("widening_factor", 1))
    options["add_last_norm"] = row.setting.get("last_bn") == "yes"
    if "se_reduction" in row.setting:
        options["se_reduction"] = int(row.setting["se_reduction"])
    return options


def wrn(row: Row) -> Options:
    """WRN-depth-widening."""
    depth, widening = row.numbers
    return {"name": "wrn", "depth": depth, "widening": widening, "dropout": float(row.setting.get("dropout", 0))}


def resnext(row: Row) -> Options:
    """ResNeXt-depth CxDd: 9n + 2 layers have three stages, the others torchvision's four."""
    depth, cardinality, group_width = row.numbers
    options = {"depth": depth, "cardinality": cardinality, "group_width": group_width}
    if row.is_imagenet or "stem" in row.setting:
        return {"name": "resnext", **options, "stem": stem(row)}
    return {"name": "cifar_resnext", **options}


def densenet(row: Row) -> Options:
    """DenseNet-depth of torchvision, or DenseNet(-BC)-depth (k=growth). One system's stems all have 2k channels."""
    if row.is_imagenet:
        return {"name": "densenet", "depth": row.numbers[0]}
    depth, growth_rate = row.numbers
    options = {"name": "cifar_densenet", "depth": depth, "growth_rate": growth_rate}
    if row.seed == "image_classification":
        options["stem_width"] = 2 * growth_rate
    return options if "BC" in row.model else {**options, "bottleneck": False, "compression": 1.0}


def pyramidnet(row: Row) -> Options:
    """PyramidNet-depth (alpha=...). The system's bottleneck nets have a stem of four times the width."""
    depth, alpha = row.numbers
    options: Options = {"name": "pyramidnet", "depth": depth, "alpha": float(alpha), "block": row.setting["block"]}
    return options if row.setting["block"] == "basic" else {**options, "stem_width": 64}


def shake_shake(row: Row) -> Options:
    """Shake-Shake-depth 2 x width d. The system's stem has the width of the first stage."""
    depth, _, width = row.numbers
    return {"name": "shake_shake", "depth": depth, "width": width, "stem_width": width}


def torchvision(row: Row) -> Options:
    """A network of torchvision, which has its own norm."""
    architecture = re.sub(r"\W", "_", row.model.lower().replace("net-", "net"))
    return {"name": "torchvision", "architecture": architecture, "norm": {"name": "batch"}}


def three_stages(row: Row) -> Options:
    """Depth and block. One of the systems has a narrow first stage of bottlenecks."""
    block, depth = row.setting.get("block", "basic"), row.numbers[0]
    if published := re.search(r"(\w+) blocks per stage = depth (\d+)", row.settings):
        block, depth = published[1], int(published[2])
    is_narrow = block == "bottleneck" and row.seed == "image_classification"
    return {"block": block, "depth": depth, "first_stage": "stem" if is_narrow else "expanded"}


def stem(row: Row) -> str:
    """The stem of a net with four stages."""
    return "cifar" if row.setting.get("stem", "").startswith("3x3") else "imagenet"


FAMILIES: dict[str, Callable[[Row], Options]] = {
    "AlexNet": alexnet,
    "VGG": vgg,
    "ResNet": resnet,
    "PreAct-ResNet": preact_resnet,
    "SE-PreAct-ResNet": preact_resnet,
    "WRN": wrn,
    "ResNeXt": resnext,
    "DenseNet": densenet,
    "PyramidNet": pyramidnet,
    "Shake-Shake": shake_shake,
    "SqueezeNet": torchvision,
    "Inception": torchvision,
}
"""By the beginning of the name; of several the longest."""
