"""Mixup, CutMix and RICAP."""

import pytest
import torch
from scipy.stats import beta as beta_distribution
from scipy.stats import ks_1samp, ks_2samp
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from wsnet.config.augment import AugmentConfig, CutMixConfig, MixupConfig, RicapConfig
from wsnet.config.seeding import derive_seed
from wsnet.data.mix import cutmix, cutmix_boxes, mixed, mixup, ricap, ricap_patches
from wsnet.data.random import Draws, beta, permutations

FORMATS = [torch.channels_last, torch.contiguous_format]
SOURCES = torch.tensor([[0, 1, 2, 3], [2, 0, 3, 1], [3, 3, 1, 0], [1, 2, 0, 2]])
WHERE = {"height": 6, "width": 8}


def images(count: int = 4) -> Tensor:
    return torch.randn(count, 3, 6, 8, generator=torch.Generator().manual_seed(0))


def draws(count: int, columns: int) -> Tensor:
    return Draws(0, 1, torch.arange(count)).uniforms("test", columns)


@pytest.mark.parametrize("alpha", [0.2, 0.3, 1.0, 2.0])
def test_lambda_has_the_beta_distribution(alpha: float) -> None:
    found = beta(alpha, draws(20_000, 1)[:, 0])
    assert ks_1samp(found.numpy(), beta_distribution(alpha, alpha).cdf).pvalue > 1e-4


def test_partners_are_permutations_and_each_is_as_likely() -> None:
    found = torch.cat([permutations(derive_seed(0, "partners", 1, step), count=3, n=3) for step in range(2000)])
    assert (found.sort(1).values == torch.arange(3)).all()
    counts = torch.bincount(found @ torch.tensor([9, 3, 1]))
    counts = counts[counts > 0].double()
    assert len(counts) == 6 and ((counts - 1000) ** 2 / 1000).sum() < 26  # p = 0.0001


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("shares", [[0.3], [0.3, 0.0, 1.0, 0.8]])
def test_mixup_is_the_weighted_sum_of_two(memory_format: torch.memory_format, shares: list[float]) -> None:
    batch, share = images().to(memory_format=memory_format), torch.tensor(shares, dtype=torch.float64)
    found = mixup(batch.clone(), SOURCES[:2], share)
    weight = share.float()[:, None, None, None]
    torch.testing.assert_close(found.images, batch * weight + batch[SOURCES[1]] * (1 - weight))
    assert found.images.is_contiguous(memory_format=memory_format)
    assert torch.equal(found.shares, torch.stack([share, 1 - share], dim=1))


@pytest.mark.parametrize("memory_format", FORMATS)
def test_cutmix_puts_a_box_of_the_partner_into_the_image(memory_format: torch.memory_format) -> None:
    batch = images().to(memory_format=memory_format)
    boxes = torch.tensor([[0, 0, 6, 8], [1, 2, 3, 4], [0, 0, 0, 5], [5, 7, 1, 1]])
    expected = batch.clone()
    for image, (top, left, height, width), other in zip(expected, boxes.tolist(), SOURCES[1].tolist(), strict=True):
        here = (slice(None), slice(top, top + height), slice(left, left + width))
        image[here] = batch[other][here]
    found = cutmix(batch.clone(), SOURCES[:2], boxes)
    assert torch.equal(found.images, expected) and found.images.is_contiguous(memory_format=memory_format)
    assert found.shares[:, 1].tolist() == [1, 0.25, 0, 1 / 48]


@pytest.mark.slow
def test_cutmix_boxes_are_distributed_like_torchvision() -> None:
    ours = cutmix_boxes(CutMixConfig(), draws(20_000, 4), height=32, width=40)
    torch.manual_seed(0)
    transform = v2.CutMix(num_classes=2)
    made = [transform.make_params([torch.zeros(2, 3, 32, 40)]) for _ in range(4000)]
    theirs = torch.tensor([[y1, x1, y2 - y1, x2 - x1] for x1, y1, x2, y2 in (params["box"] for params in made)])
    for column in range(4):
        assert ks_2samp(ours[:, column].numpy(), theirs[:, column].numpy()).pvalue > 1e-4
    areas = 1 - (ours[:, 2] * ours[:, 3]).double() / (32 * 40)
    assert ks_2samp(areas.numpy(), [params["lam_adjusted"] for params in made]).pvalue > 1e-4
    half = cutmix_boxes(CutMixConfig(probability=0.5), draws(20_000, 4), height=32, width=40)
    assert abs(((half[:, 2] > 0).double().mean() / (ours[:, 2] > 0).double().mean()) - 0.5) < 0.015


def published_ricap(batch: Tensor, sources: Tensor, cut: Tensor) -> Tensor:
    """Takahashi et al. (2018), algorithm 1: crop four, and put them together."""
    (row, column), *corners = cut.tolist()
    sizes = [(row, column), (row, 8 - column), (6 - row, column), (6 - row, 8 - column)]
    crops = [
        batch[source, :, top : top + height, left : left + width]
        for source, (top, left), (height, width) in zip(sources, corners, sizes, strict=True)
    ]
    return torch.cat([torch.cat(crops[:2], 3), torch.cat(crops[2:], 3)], 2)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("per_image", [False, True])
def test_ricap_patches_four_crops_together(memory_format: torch.memory_format, per_image: bool) -> None:
    batch = images().to(memory_format=memory_format)
    for number in range(20):
        patches = ricap_patches(RicapConfig(), draws(100, 10)[4 * number :][: 4 if per_image else 1], **WHERE)
        found = ricap(batch, SOURCES, patches)
        for image in range(4):
            cut = patches[image if per_image else 0]
            assert torch.equal(
                found.images[image : image + 1], published_ricap(batch, SOURCES[:, image : image + 1], cut)
            )
        assert found.images.is_contiguous(memory_format=memory_format)
        torch.testing.assert_close(found.shares.sum(1), torch.ones(len(patches), dtype=torch.float64))


def test_ricap_meets_where_the_beta_distribution_says() -> None:
    patches = ricap_patches(RicapConfig(), draws(20_000, 10), height=10**5, width=10**5)
    shares = patches[:, 0].double().flatten() / 10**5
    inner = shares[(shares > 0.002) & (shares < 0.998)]
    low, high = beta_distribution(0.3, 0.3).cdf([0.002, 0.998])
    assert ks_1samp(inner.numpy(), lambda x: (beta_distribution(0.3, 0.3).cdf(x) - low) / (high - low)).pvalue > 1e-4
    assert abs(len(inner) / len(shares) - (high - low)) < 0.01
    # The first crop is anywhere that leaves it inside.
    last = patches[:, 1] + patches[:, 0]
    assert patches[:, 1].min() >= 0 and last.max() == 10**5


@pytest.mark.parametrize(
    "config", [{"mixup": {}}, {"cutmix": {}}, {"ricap": {}}], ids=lambda config: next(iter(config))
)
@pytest.mark.parametrize("per", ["batch", "image"])
def test_targets_are_the_shares_of_the_labels(config: dict[str, dict[str, str]], per: str) -> None:
    (name,) = config
    augment = AugmentConfig.model_validate({name: {"per": per}})
    labels = torch.arange(12) % 5
    partners = permutations(derive_seed(0, "partners", 1, 2), count=3 if name == "ricap" else 1, n=12)
    # An image shows its label in all its pixels.
    batch = F.one_hot(labels, 5).float()[:, :, None, None].expand(-1, -1, 6, 8).contiguous()
    how = {"classes": 5, "draws": Draws(0, 1, torch.arange(12)), "step": 2}
    found, largest, targets = mixed(batch, labels, partners, augment, **how)
    torch.testing.assert_close(found.mean((2, 3)), targets)
    torch.testing.assert_close(targets.sum(1), torch.ones(12))
    assert (targets.gather(1, largest[:, None]) >= (0.25 if name == "ricap" else 0.5)).all()
    assert targets.max(1).values.unique().numel() > 3 or per == "batch"


def test_a_new_step_mixes_otherwise() -> None:
    augment = AugmentConfig(mixup=MixupConfig())
    labels, partners = torch.tensor([0, 1, 2, 0]), torch.tensor([[1, 2, 3, 0]])
    first, again, step, epoch = (
        mixed(images(), labels, partners, augment, draws=Draws(0, e, torch.arange(4)), step=s, classes=3)[2]
        for e, s in [(1, 0), (1, 0), (1, 1), (2, 0)]
    )
    assert torch.equal(first, again) and not torch.equal(first, step) and not torch.equal(first, epoch)
