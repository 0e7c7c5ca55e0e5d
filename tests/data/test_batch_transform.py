"""Normalization of bytes."""

import pytest
import torch
from torchvision.transforms import v2

from wsnet.config.datasets import IMAGE_SETS
from wsnet.data.batch_transform import Normalize


@pytest.mark.parametrize("name", list(IMAGE_SETS))
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_it_equals_torchvision(name: str, memory_format: torch.memory_format) -> None:
    facts = IMAGE_SETS[name]
    channels, height, width = facts.shape
    images = torch.randint(0, 256, (9, height, width, channels), dtype=torch.uint8)
    ours = Normalize(facts.mean, facts.std, height=height, width=width, memory_format=memory_format)(images)
    theirs = v2.Normalize(facts.mean, facts.std)(images.permute(0, 3, 1, 2).double() / 255)
    assert ours.dtype == torch.float32 and ours.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(ours.double(), theirs, atol=1e-6, rtol=0)


def test_the_bits_of_an_image_depend_neither_on_its_batch_nor_on_the_memory_format() -> None:
    facts = IMAGE_SETS["cifar10"]
    images = torch.randint(0, 256, (37, 32, 32, 3), dtype=torch.uint8)
    last = Normalize(facts.mean, facts.std, height=32, width=32)
    contiguous = Normalize(facts.mean, facts.std, height=32, width=32, memory_format=torch.contiguous_format)
    whole = last(images)
    assert torch.equal(whole, torch.cat([last(part) for part in torch.split(images, 5)]))
    assert torch.equal(whole, contiguous(images))
    if torch.cuda.is_available():
        gpu = Normalize(facts.mean, facts.std, height=32, width=32, device="cuda")
        assert torch.equal(whole, gpu(images.cuda()).cpu())


def test_statistics_of_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="one value per channel"):
        Normalize((0.5,), (0.2, 0.2), height=8, width=8)
