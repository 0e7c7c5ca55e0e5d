"""Checks of what a norm must accept: batch sizes, constant maps, memory formats, dtypes."""

import torch

from wsnet.layers.check.subject import (
    Finding,
    Subject,
    difference,
    failed,
    first_nonfinite,
    largest,
    noted,
    passed,
    step,
)

__all__ = ["batch_of_1", "channels_last", "constant_maps", "low_precision", "other_batches"]

LAYOUT_TOLERANCE = 1e-4
"""For float32, in which another layout's order of summation changes the rounding."""
BFLOAT16_TOLERANCE = 0.05
"""bfloat16 has 8 bits of precision, so a value is rounded by up to 0.4 %, and a few operations add up."""


def batch_of_1(subject: Subject) -> Finding:
    """A training step with one image."""
    found = step(subject.trained(), subject.maps(1))
    wrong = first_nonfinite(found)
    if wrong:
        return failed(f"the {wrong} is not finite; take statistics over more than the images, or add an eps")
    spread = found.y.std().item()
    if spread < 1e-6:
        return failed("the output does not depend on the image; one image cannot be normalized by itself")
    return passed(f"trains on one image: output with standard deviation {spread:.2f}, finite gradients")


def other_batches(subject: Subject) -> Finding:
    """Batches of different sizes one after the other, as at the end of an epoch."""
    norm = subject.made()
    sizes = (subject.images, 3, subject.images + 5, 2)
    for count in sizes:
        wrong = first_nonfinite(step(norm, subject.maps(count, seed=count)))
        if wrong:
            return failed(
                f"with {count} images after other batches the {wrong} is not finite; keep no state in the batch's shape"
            )
    return passed(f"batches of {', '.join(map(str, sizes))} images one after the other")


def constant_maps(subject: Subject) -> Finding:
    """Maps without any variance, as after dead ReLUs."""
    for value in (0.0, 3.0):
        wrong = first_nonfinite(step(subject.trained(), torch.full_like(subject.maps(), value)))
        if wrong:
            return failed(f"the {wrong} of maps that are {value:g} everywhere is not finite; add an eps under the root")
    return passed("finite for maps that are 0 or 3 everywhere")


def channels_last(subject: Subject) -> Finding:
    """The layout that wsnet trains in by default."""
    plain = step(subject.trained(), subject.maps())
    norm, x = subject.trained(), subject.maps().to(memory_format=torch.channels_last)
    found = step(norm, x)
    where, off = largest(found, plain)
    if off > LAYOUT_TOLERANCE:
        return failed(
            f"the {where} differs by {off:.1e} from the contiguous layout's; "
            "index by dimension, not by view() or stride"
        )
    if not found.y.is_contiguous(memory_format=torch.channels_last):
        return noted(f"same numbers (to {off:.0e}), but its output is contiguous: the next layer has to convert it")
    return passed(f"same numbers (to {off:.0e}), and the layout is kept")


def low_precision(subject: Subject) -> Finding:
    """Maps in 16 bits and parameters in 32, under autocast as in training."""
    off = _in_16_bits(subject, torch.bfloat16)
    if off > BFLOAT16_TOLERANCE:
        return failed(
            f"bfloat16 maps differ by {off:.1%} from float32; take the statistics in float32: x.float().mean(...)"
        )
    try:
        half = _in_16_bits(subject, torch.float16)
        also = f"float16 within {half:.1%}" if half <= BFLOAT16_TOLERANCE else f"float16 differs by {half:.1%}"
    except Exception as error:
        also = f"float16 raises {type(error).__name__}"
    return passed(f"bfloat16 within {off:.1%} of float32 ({also})")


def _in_16_bits(subject: Subject, dtype: torch.dtype) -> float:
    x = subject.maps().to(dtype)
    norm = subject.trained()
    with torch.autocast("cpu", dtype=dtype):
        found = step(norm, x)
    exact = step(subject.trained(), x.float())
    return max(difference(found.y, exact.y), difference(found.grads["input"], exact.grads["input"]))
