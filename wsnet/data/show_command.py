"""`python -m wsnet.data show SWEEP.yaml --out augment.png`: see what an augmentation does."""

import argparse
from pathlib import Path
from typing import Any

__all__ = ["add_command"]

_EXAMPLE = """\
The picture has a row for each different augmentation of the sweep, and one for its images as they are:

  python -m wsnet.data show sweeps/cifar_augment.yaml --out augment.png
  python -m wsnet.data show sweeps/quickstart.yaml --set data.augment.cutout.size=4
"""


def add_command(commands: Any) -> None:
    """Add `show` to the commands of a parser."""
    show = commands.add_parser(
        "show",
        help="draw images as the settings of a sweep augment them",
        description="Draw images as the settings of a sweep augment them.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    show.add_argument("sweep", metavar="SWEEP.yaml", help="the sweep file")
    show.add_argument("--out", metavar="PNG", default="augment.png", help="the picture (default: augment.png)")
    show.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="override an option")
    show.add_argument("--seed", type=int, default=0, help="the trial's seed (default: 0)")
    show.add_argument("--data-root", metavar="DIR", help="folder of the image sets (default: $WSNET_DATA or ./data)")
    show.set_defaults(run=_show)


def _show(arguments: argparse.Namespace) -> int:
    from wsnet.config import read_sweep
    from wsnet.config.augment import AugmentConfig
    from wsnet.config.data import DataConfig
    from wsnet.config.errors import ConfigError, Mistake
    from wsnet.data import data_root, load
    from wsnet.data.show import contact_sheet, describe

    settings = read_sweep(arguments.sweep, arguments.set).settings
    data = settings[0].config.data
    if any(setting.config.data.name != data.name for setting in settings):
        text = "has several image sets; choose one, such as --set data.name=cifar10"
        raise ConfigError([Mistake(arguments.sweep, "data.name", text)])
    augments = dict.fromkeys([AugmentConfig(), *(setting.config.data.augment for setting in settings)])
    images = load(DataConfig(name=data.name), root=data_root(arguments.data_root))
    png = contact_sheet(images, [(describe(augment), augment) for augment in augments], seed=arguments.seed)
    out = Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(png)
    print(f"{out}: {len(augments)} rows of images of {data.name}, with seed {arguments.seed}")
    return 0
