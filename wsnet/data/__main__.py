"""`python -m wsnet.data show SWEEP.yaml --out augment.png`: see what an augmentation does."""

import argparse
import sys
from pathlib import Path

_EXAMPLE = """\
The picture has a row for each different augmentation of the sweep, and one for its images as they are:

  python -m wsnet.data show sweeps/augment.yaml --out augment.png
  python -m wsnet.data show sweeps/quickstart.yaml --set data.augment.cutout.size=4
"""


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 2 the input can not be used."""
    arguments = _parser().parse_args(argv)
    from wsnet.config import ConfigError  # --help needs none of this.
    from wsnet.data.images import DataError

    try:
        return _show(arguments)
    except (ConfigError, DataError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m wsnet.data", description=__doc__)
    what = parser.add_subparsers(dest="what", required=True)
    show = what.add_parser(
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
    return parser


if __name__ == "__main__":
    sys.exit(main())
