"""`python -m wsnet.data show`: a contact sheet of what an augmentation does to real images."""

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsnet.called import called
from wsnet.config.augment import AugmentConfig
from wsnet.config.example_sweeps import sweep_file
from wsnet.data.images import DataError, ImageFiles, ImageSplits
from wsnet.data.loader import Batches

__all__ = ["AugmentationRow", "add_command", "contact_sheet", "describe", "shown_images"]

AugmentationRow = tuple[str, AugmentConfig]
"""Caption of a row of the sheet, and the augmentation that it shows."""


def contact_sheet(images: ImageSplits, rows: list[AugmentationRow], *, columns: int = 8, seed: int = 0) -> bytes:
    """Draw the same images under several augmentations.

    Args:
        images: the image set.
        rows: what to show, from top to bottom.
        columns: images in a row.
        seed: the trial's seed; images are ordered and augmented as in its first epoch with batches of a row's images.

    Returns:
        A PNG. Values out of range, such as those of Gaussian noise, are clipped to black and white.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * 0.95, len(rows) * 1.22), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figures = np.atleast_1d(np.array(figure.subfigures(len(rows), 1), dtype=object))
    for part, (text, config) in zip(figures, rows, strict=True):
        part.suptitle(text, x=0.005, ha="left", fontsize=8)
        pixels = shown_images(images, config, columns, seed)
        for axes, image in zip(part.subplots(1, columns), pixels, strict=True):
            axes.imshow(image.squeeze(2) if image.shape[2] == 1 else image, cmap="gray", vmin=0, vmax=255)
            axes.set_axis_off()
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def shown_images(images: ImageSplits, config: AugmentConfig, count: int, seed: int = 0) -> NDArray[np.uint8]:
    """The first images of a trial's first epoch, as bytes (count, H, W, C); with dual cutout, both views of each."""
    if isinstance(images.train, ImageFiles):
        raise DataError("images that are streamed from their files cannot be shown; use a set that is decoded once")
    batches = Batches(
        images.train,
        batch_size=count // config.views,
        mean=images.mean,
        std=images.std,
        augment=config,
        seed=seed,
        classes=len(images.classes),
    )
    batch = next(batches.epoch(1))
    mean, std = (torch.tensor(values)[:, None, None] for values in (images.mean, images.std))
    pixels = ((batch.images * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().numpy()


def describe(config: AugmentConfig) -> str:
    """An augmentation in one line, in the notation of a sweep file."""
    return _text(config.model_dump(mode="json", exclude_defaults=True)) or "no augmentation"


def _text(options: dict[str, object]) -> str:
    parts = []
    for name, value in options.items():
        if isinstance(value, dict):
            parts.append(f"{name}: {{{_text(value)}}}")
        else:
            parts.append(f"{name}: {str(value).lower() if isinstance(value, bool) else value}")
    return ", ".join(parts)


_EXAMPLE = """\
The picture has a row for each distinct augmentation in the sweep, and one without augmentation:

  {data} show cifar_augment --out augment.png
  {data} show quickstart --set data.augment.cutout.size=4
"""


def add_command(commands: Any) -> None:
    """Add `show` to the commands of a parser."""
    show = commands.add_parser(
        "show",
        help="draw images under the augmentations of a sweep",
        description="Draw images under the augmentations of a sweep.",
        epilog=_EXAMPLE.format(data=called("data")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    show.add_argument("sweep", metavar="SWEEP.yaml", help="the sweep file, or the name of an example")
    show.add_argument("--out", metavar="PNG", default="augment.png", help="the picture (default: augment.png)")
    show.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="override an option")
    show.add_argument("--seed", type=int, default=0, help="the trial's seed (default: 0)")
    show.add_argument("--data-root", metavar="DIR", help="folder of the image sets (default: $WSNET_DATA or ./data)")
    show.set_defaults(run=_show)


def _show(arguments: argparse.Namespace) -> int:
    from wsnet.config import read_sweep
    from wsnet.config.data import DataConfig
    from wsnet.config.errors import ConfigError, Mistake
    from wsnet.data.cache import data_root
    from wsnet.data.load import load

    settings = read_sweep(sweep_file(arguments.sweep), arguments.set).settings
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
