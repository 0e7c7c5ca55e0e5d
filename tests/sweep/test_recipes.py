"""One trial of every file in sweeps/, and of every family of networks in them, trained small by the training core."""

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsnet.config import ExecutionConfig, TrialConfig, read_sweep
from wsnet.config.reading.only_and_smoke import smoke
from wsnet.config.reading.own_files import with_files
from wsnet.data import ImageSet, ImageSplits
from wsnet.storage import Folder
from wsnet.training import Trial, fit

FILES = sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml"))
IMAGES, STEPS = 4, 2
EXECUTION = ExecutionConfig(device="cpu", threads=1)


@cache
def chosen() -> dict[str, TrialConfig]:
    """By file and family: of each family the setting that is least work, and of each file without one of those too."""
    costs: list[tuple[float, str, TrialConfig]] = []
    for file in FILES:
        for setting in smoke(read_sweep(str(file)), images=IMAGES, steps=STEPS).settings:
            costs.append((work(setting.config), file.stem, setting.config))
    costs.sort(key=lambda cost: cost[0])
    families = {config.model.name: (file, config) for _, file, config in reversed(costs)}
    files = {file: (file, config) for _, file, config in reversed(costs)}
    least = {file: found for file, found in files.items() if file not in {file for file, _ in families.values()}}
    return {f"{file}, {config.model.name}": config for file, config in (*families.values(), *least.values())}


def work(config: TrialConfig) -> float:
    """Greater for a greater network and more pixels. To count the operations would take longer than the trainings."""
    options = config.model.model_dump().values()
    sizes = [max(1, option) for option in options if isinstance(option, (int, float))]
    return math.prod((*sizes, *config.data.facts.shape, config.train.batch_size))


def in_memory(config: TrialConfig) -> Trial:
    """The trial with made-up images of its set's shape."""
    facts, generator = config.data.facts, np.random.default_rng(0)
    channels, height, width = facts.shape
    sets = []
    for images in (config.data.train_size, config.data.validation, IMAGES):
        pixels = generator.integers(0, 256, (images, height, width, channels), dtype=np.uint8)
        sets.append(ImageSet(pixels, generator.integers(0, facts.classes, images)))
    train, validation, test = sets
    images = ImageSplits(
        train=train,
        validation=validation if config.data.validation else None,
        test=test,
        classes=tuple(map(str, range(facts.classes))),
        mean=facts.mean,
        std=facts.std,
        hash="made up",
    )
    return Trial(config=config.model_copy(update={"execution": EXECUTION}), images=images)


def streamed(config: TrialConfig, folder: Path) -> Trial:
    """The trial with a made-up folder of images in place of ImageNet, at 64 pixels."""
    generator = np.random.default_rng(0)
    for split, images in (("train", IMAGES), ("val", 4)):
        for index in range(images):
            path = folder / split / f"class{index % 4}" / f"{index}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (80, 100, 3), dtype=np.uint8)).save(path)
    data = config.data.model_dump(exclude_unset=True) | {"name": "folder", "path": str(folder), "size": 64}
    whole = {**config.model_dump(), "data": {**data, "stream": True}, "execution": EXECUTION}
    return Trial.prepare(TrialConfig.model_validate(with_files(whole)))


@pytest.mark.slow
def test_every_recipe_trains(tmp_path: Path) -> None:
    for name, config in chosen().items():
        is_imagenet = config.data.name == "imagenet"
        trial = streamed(config, tmp_path / name) if is_imagenet else in_memory(config)
        result = fit(trial, report=lambda record: None, checkpoint_dir=Folder(tmp_path / f"{name}, trial"))
        # One or two steps at a learning rate for whole epochs may explode, and that is said.
        assert result.status.status in ("finished", "diverged"), name
        assert math.isfinite(result.records[-1]["test/top1_error"]), name


@pytest.mark.slow
def test_every_family_and_every_file_is_among_them() -> None:
    settings = [(file.stem, setting.config) for file in FILES for setting in read_sweep(str(file)).settings]
    names = [name.split(", ") for name in chosen()]
    assert {file for file, _ in names} == {file.stem for file in FILES}
    assert {family for _, family in names} == {config.model.name for _, config in settings}
