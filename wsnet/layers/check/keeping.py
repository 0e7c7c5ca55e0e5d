"""What a norm keeps: nothing in evaluation, everything in its state_dict."""

import copy

import torch

from wsnet.layers.check.finding import Finding, failed, passed
from wsnet.layers.check.subject import Subject, difference, largest, state, step

__all__ = ["copies", "frozen_evaluation"]

TOLERANCE = 1e-5
"""Of numbers that are computed alike in batches of different sizes."""


def frozen_evaluation(subject: Subject) -> Finding:
    """Evaluation moves no state, and an image's output depends on that image alone."""
    norm = subject.trained(torch.float64).eval()
    x = subject.maps(dtype=torch.float64)
    before = state(norm)
    first, second = step(norm, x), step(norm, x)
    moved = {name: difference(value, before[name]) for name, value in state(norm).items()}
    for name, off in moved.items():
        if off:
            return failed(f"evaluation moves {name} by {off:.1e}; move state only if self.training")
    off = difference(first.y, second.y)
    if off:
        return failed(f"the same images give {off:.1e} else the second time; no state and no chance in evaluation")
    with torch.no_grad():
        off = difference(norm(x.flip(0)).flip(0), first.y)
        if off > TOLERANCE:
            return failed(
                f"the order of the images changes the output by {off:.1e}; use running statistics in evaluation"
            )
        off = difference(torch.cat([norm(image) for image in x.split(1)]), first.y)
    if off > TOLERANCE:
        return failed(
            f"an image alone differs by {off:.1e} from itself in a batch; use running statistics in evaluation"
        )
    return passed("evaluation moves no state, and an image's output depends on that image alone")


def copies(subject: Subject) -> Finding:
    """A checkpoint and a deepcopy go on as the norm itself does, and a copy shares nothing."""
    x = subject.maps()
    loaded, kept = subject.made(), subject.trained()
    step(loaded, subject.maps(seed=50))  # What it has seen must be forgotten.
    loaded.load_state_dict(subject.trained().state_dict())
    expected = step(subject.trained(), x)
    where, off = largest(step(loaded, x), expected)
    if off > TOLERANCE:
        text = f"after load_state_dict the {where} of the next step is {off:.1e} off"
        return failed(f"{text}; keep all state in parameters and buffers (register_buffer)")
    copied, before = copy.deepcopy(kept), state(kept)
    where, off = largest(step(copied, x), expected)
    if off > TOLERANCE:
        return failed(f"a deepcopy's {where} is {off:.1e} off; keep all state in parameters and buffers")
    for name, value in state(kept).items():
        if difference(value, before[name]):
            return failed(f"a deepcopy shares {name} with the norm it was made from; make state in __init__")
    return passed("a state_dict and a deepcopy go on to the same numbers")
