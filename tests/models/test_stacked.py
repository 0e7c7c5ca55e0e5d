"""Replicates side by side in one network compute what each computes alone."""

from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.nn import functional as F

from tests.models.configs import NORMS, config, network
from tests.models.small import LARGE, SMALL, WEIGHTS, with_one_weight
from wsnet.config.architectures import ModelConfig
from wsnet.config.norm import NormConfig
from wsnet.config.reading.own_files import with_source
from wsnet.layers import Dropout, LayerRandomness, Layers, initialize
from wsnet.layers.stacking import stack, unstack
from wsnet.models import ModelError, build, not_stackable
from wsnet.models.vgg import PlainNetwork

SEEDS = (3, 1, 4)
CLASSES = 4
OWN = Path(__file__).parents[1] / "own_norms.py"
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
Shape = tuple[int, int, int]


def alone(model: ModelConfig, shape: Shape, dtype: torch.dtype, layout: str) -> list[nn.Module]:
    """The network of each seed."""
    networks = [network(model, classes=CLASSES, shape=shape, seed=seed) for seed in SEEDS]
    return [made.to(dtype).to(memory_format=LAYOUTS[layout]) for made in networks]


def stacked(model: ModelConfig, shape: Shape, networks: list[nn.Module], layout: str) -> nn.Module:
    """All of them in one."""
    made = build(model, classes=CLASSES, shape=shape, replicates=len(networks))
    made.to(next(networks[0].parameters()).dtype).to(memory_format=LAYOUTS[layout])
    made.load_state_dict(stack([each.state_dict() for each in networks]))
    return made


def batches(shape: Shape, dtype: torch.dtype, layout: str, images: int = 4) -> list[tuple[Tensor, Tensor]]:
    """Images (N, C, H, W) and labels (N,) for each seed."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(SEEDS), images, *shape, generator=generator, dtype=torch.float64).to(dtype)
    y = torch.randint(CLASSES, (len(SEEDS), images), generator=generator)
    return [(each.contiguous(memory_format=LAYOUTS[layout]), labels) for each, labels in zip(x, y, strict=True)]


def side_by_side(images: list[Tensor], layout: str) -> Tensor:
    return torch.cat(images, 1).contiguous(memory_format=LAYOUTS[layout])


def train(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Accumulate the gradients of a batch's loss; labels are (N, replicates). Returns the losses (replicates,)."""
    logits = model(images).view(-1, CLASSES)
    losses = F.cross_entropy(logits, labels.flatten(), reduction="none").view_as(labels).mean(0)
    losses.sum().backward()
    return losses.detach()


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def assert_computes_the_same(
    model: ModelConfig, shape: Shape, dtype: torch.dtype, layout: str, *, rtol: float, atol: float
) -> None:
    """Three steps of training, then an evaluation: losses, gradients, running state, logits."""
    networks = alone(model, shape, dtype, layout)
    together = stacked(model, shape, networks, layout)
    randomness = [LayerRandomness(each, seed) for each, seed in zip(networks, SEEDS, strict=True)]
    of_all = LayerRandomness(together, SEEDS)
    data = batches(shape, dtype, layout)
    images, labels = side_by_side([x for x, _ in data], layout), torch.stack([y for _, y in data], 1)
    for step in range(3):
        for each in (*randomness, of_all):
            each.set_step(step)
        losses = train(together, images, labels)
        expected = torch.cat([train(each, x, y[:, None]) for each, (x, y) in zip(networks, data, strict=True)])
        torch.testing.assert_close(losses, expected, rtol=rtol, atol=atol)
    found = together.eval()(images).chunk(len(SEEDS), 1)
    for number, (each, (x, _)) in enumerate(zip(networks, data, strict=True)):
        mine = unstack(gradients(together), number, len(SEEDS))
        torch.testing.assert_close(mine, gradients(each), rtol=rtol, atol=atol)
        own = unstack(together.state_dict(), number, len(SEEDS))
        torch.testing.assert_close(own, dict(each.state_dict()), rtol=rtol, atol=atol)
        torch.testing.assert_close(found[number], each.eval()(x), rtol=rtol, atol=atol)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_and_weight_computes_what_it_computes_alone(norm: str, weight: str, layout: str) -> None:
    model = config("cifar_resnet", norm, depth=8, width=8, weight=weight)
    assert_computes_the_same(model, (3, 8, 8), torch.float64, layout, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("architecture", "norm", "weight"), with_one_weight(SMALL)[::3])
def test_every_small_architecture_computes_what_it_computes_alone(architecture: str, norm: str, weight: str) -> None:
    options, shape = SMALL[architecture]
    model = config(norm=norm, weight=weight, **options)
    assert_computes_the_same(model, shape, torch.float64, "channels_last", rtol=1e-8, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(
    "architecture",
    [pytest.param(name, marks=[] if name in ("alexnet", "resnet-18") else [pytest.mark.exhaustive]) for name in LARGE],
)
def test_every_large_architecture_computes_what_it_computes_alone(architecture: str) -> None:
    options, shape = LARGE[architecture]
    model = config(norm="batch", **options)
    assert_computes_the_same(model, shape, torch.float64, "contiguous", rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compensation", ["ls", "ac", "none"])
def test_the_kernels_of_online_norm_compute_what_they_compute_alone(compensation: str, layout: str) -> None:
    norm = {"name": "online", "error_compensation": compensation}
    model = config("cifar_resnet", depth=8, width=4).model_copy(
        update={"norm": config("cifar_resnet", "online", depth=8).norm.model_copy(update=norm)}
    )
    assert_computes_the_same(model, (1, 8, 8), torch.float32, layout, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("norm", "weight"), [(norm, weight) for _, norm, weight in with_one_weight(["any"])])
def test_a_replicate_that_is_not_finite_leaves_the_others_as_they_are(
    norm: str, weight: str, layout: str, dtype: torch.dtype
) -> None:
    model, shape = config("cifar_resnet", norm, depth=8, width=8, weight=weight, se_reduction=4), (1, 8, 8)
    both = [stacked(model, shape, alone(model, shape, dtype, layout), layout) for _ in range(2)]
    data = batches(shape, dtype, layout)
    labels = torch.stack([y for _, y in data], 1)
    images = [side_by_side([x for x, _ in data], layout) for _ in range(2)]
    images[1][:, 1] = torch.nan
    for together, x in zip(both, images, strict=True):
        for _ in range(2):
            train(together, x, labels)
    for number in (0, 2):
        sound, beside = (unstack(each.state_dict() | gradients(each), number, 3) for each in both)
        torch.testing.assert_close(beside, sound, rtol=0, atol=0)
    assert not all(value.isfinite().all() for value in unstack(gradients(both[1]), 1, 3).values())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_classifier_of_several_pixels_and_its_dropout_are_of_each_replicate(layout: str) -> None:
    def made(replicates: int) -> nn.Module:
        layers = Layers(config("vgg", depth=11).norm, replicates=replicates)
        classifier = nn.Sequential(Dropout(0.5, replicates=replicates), layers.linear(16, CLASSES))
        return PlainNetwork(layers.conv(3, 4, 3), 2, classifier).to(memory_format=LAYOUTS[layout])

    networks, together = [made(1) for _ in SEEDS], made(len(SEEDS))
    for each, seed in zip(networks, SEEDS, strict=True):
        initialize(each, seed)
        LayerRandomness(each, seed).set_step(5)
    together.load_state_dict(stack([each.state_dict() for each in networks]))
    LayerRandomness(together, SEEDS).set_step(5)
    images = [x for x, _ in batches((3, 6, 5), torch.float32, layout)]
    expected = torch.cat([each(x) for each, x in zip(networks, images, strict=True)], 1)
    torch.testing.assert_close(together(side_by_side(images, layout)), expected)


def test_the_replicates_of_a_stack_can_be_taken_apart_again() -> None:
    networks = alone(config("cifar_resnet", depth=8), (1, 8, 8), torch.float32, "contiguous")
    together = stack([each.state_dict() for each in networks])
    for number, each in enumerate(networks):
        assert all(torch.equal(value, each.state_dict()[name]) for name, value in unstack(together, number, 3).items())


def test_what_cannot_be_stacked_says_so() -> None:
    assert not_stackable(config("cifar_resnet", depth=8)) is None
    norm = TypeAdapter(NormConfig).validate_python(with_source({"name": f"{OWN}:Plain"}))
    own = config("cifar_resnet", depth=8).model_copy(update={"norm": norm})
    assert str(not_stackable(own)).startswith("norm 'Plain' is your own")
    torchvision = TypeAdapter(ModelConfig).validate_python({"name": "torchvision", "architecture": "resnet18"})
    with pytest.raises(ModelError, match=r"3 replicates .* cannot be stacked: torchvision's networks"):
        build(torchvision, classes=4, shape=(3, 32, 32), replicates=3)
