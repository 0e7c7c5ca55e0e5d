"""Every architecture at a size that trains in milliseconds, and which norms and weights it is tried with."""

from collections.abc import Iterable
from typing import Any

from tests.models.configs import NORMS

Shape = tuple[int, int, int]

SMALL: dict[str, tuple[dict[str, Any], Shape]] = {
    "cifar_resnet-A": ({"name": "cifar_resnet", "depth": 8, "shortcut": "A"}, (1, 8, 8)),
    "cifar_resnet-B": ({"name": "cifar_resnet", "depth": 14, "width": 8}, (3, 9, 7)),
    "cifar_resnet-bottleneck": (
        {"name": "cifar_resnet", "block": "bottleneck", "depth": 11, "width": 32, "first_stage": "stem"},
        (3, 8, 8),
    ),
    "cifar_resnet-se": ({"name": "cifar_resnet", "depth": 8, "se_reduction": 4}, (1, 8, 8)),
    "preact_resnet": ({"name": "preact_resnet", "depth": 14, "width": 8}, (1, 8, 8)),
    "preact_resnet-A": (
        {"name": "preact_resnet", "depth": 8, "shortcut": "A", "preact_stage": [False, False, False]},
        (3, 9, 7),
    ),
    "preact_resnet-bottleneck": (
        {
            "name": "preact_resnet",
            "block": "bottleneck",
            "depth": 20,
            "width": 8,
            "preact_stage": [True, False, False],
            "remove_first_relu": True,
            "add_last_norm": True,
            "se_reduction": 4,
        },
        (3, 8, 8),
    ),
    "wrn": ({"name": "wrn", "depth": 10, "widening": 2, "dropout": 0.3}, (3, 8, 8)),
    "cifar_resnext": (
        {"name": "cifar_resnext", "depth": 11, "cardinality": 2, "group_width": 8, "se_reduction": 16},
        (3, 8, 8),
    ),
    "cifar_densenet": (
        {"name": "cifar_densenet", "depth": 10, "growth_rate": 8, "bottleneck": False, "compression": 1.0},
        (1, 8, 8),
    ),
    "cifar_densenet-bc": ({"name": "cifar_densenet", "depth": 10, "growth_rate": 32, "dropout": 0.2}, (3, 9, 8)),
    "pyramidnet": ({"name": "pyramidnet", "depth": 8, "alpha": 24.0}, (3, 9, 7)),
    "pyramidnet-bottleneck": ({"name": "pyramidnet", "depth": 11, "alpha": 24.0, "block": "bottleneck"}, (1, 8, 8)),
    "shake_shake": ({"name": "shake_shake", "depth": 8, "width": 16}, (3, 9, 7)),
}
"""Small nets, for each norm with each kind of weight."""

LARGE: dict[str, tuple[dict[str, Any], Shape]] = {
    "alexnet": ({"name": "alexnet", "layout": "cifar"}, (3, 40, 40)),
    "vgg-11": ({"name": "vgg", "depth": 11, "layout": "cifar"}, (3, 33, 33)),
    "resnet-18": ({"name": "resnet", "depth": 18, "stem": "imagenet"}, (1, 33, 33)),
    "resnext-50": ({"name": "resnext", "depth": 50, "cardinality": 4, "group_width": 4, "stem": "cifar"}, (3, 9, 9)),
    "densenet-121": ({"name": "densenet", "depth": 121}, (3, 64, 64)),
}
"""Large nets, for each norm with one kind of weight, so that each kind comes several times."""

HUGE: dict[str, tuple[dict[str, Any], Shape]] = {
    "resnet-50": ({"name": "resnet", "depth": 50, "stem": "cifar"}, (3, 9, 9)),
}
"""The blocks of the others in a larger net, for one norm with each kind of weight."""

WEIGHTS = ("none", "standardized", "normalized")
ALL = SMALL | LARGE | HUGE


def with_one_weight(architectures: Iterable[str]) -> list[tuple[str, str, str]]:
    """Each architecture with each norm, and one kind of weight that changes from one to the next."""
    return [
        (architecture, norm, WEIGHTS[(number + shift) % 3])
        for shift, architecture in enumerate(architectures)
        for number, norm in enumerate(NORMS)
    ]


TRIPLES = [
    *with_one_weight(SMALL),
    *with_one_weight(LARGE),
    *((architecture, "batch", weight) for architecture in HUGE for weight in WEIGHTS),
]
"""(architecture, norm, weight): any two of them meet."""
