"""Checks of state: whether images of a batch influence each other, evaluation, copies and state_dict."""

import copy
from dataclasses import dataclass

import torch

from wsnet.config.norm import OwnNormConfig
from wsnet.layers.check.subject import (
    Finding,
    Step,
    Subject,
    difference,
    failed,
    largest,
    noted,
    passed,
    state,
    step,
    weighting,
)

__all__ = ["copies", "frozen_evaluation", "micro_batches"]

TOLERANCE = 1e-5
"""For float64 maps with statistics in float32 or better. Another image's influence is thousands of times larger."""


@dataclass(frozen=True)
class _Seen:
    """Where a whole batch differs most from its micro-batches, and by how much.

    Attributes:
        alone: each micro-batch starts with the state before the batch.
        streamed: forward and backward of one micro-batch after the other, as in training.
    """

    alone: tuple[str, float]
    streamed: tuple[str, float]

    @property
    def kind(self) -> str:
        """`independent`, `stream` or `batch`."""
        if self.streamed[1] > TOLERANCE:
            return "batch"
        return "independent" if self.alone[1] <= TOLERANCE else "stream"


def micro_batches(subject: Subject) -> Finding:
    """Run a batch whole and in uneven micro-batches, and compare outputs, gradients and state."""
    sizes: tuple[int, ...] = (1, 3, subject.images - 4)
    try:
        seen = _seen(subject, sizes)
    except Exception:  # A norm that cannot take a single image, which `batch_of_1` reports.
        sizes = (2, subject.images - 2)
        seen = _seen(subject, sizes)
    shown = f"micro-batches of {', '.join(map(str, sizes))}"
    where, off = seen.alone if seen.alone[1] > TOLERANCE else seen.streamed
    said = subject.config.over_batch
    option = "batch_statistics" if isinstance(subject.config, OwnNormConfig) else "over_batch"
    if seen.kind == "batch":
        how = "statistics over the batch" if seen.alone[1] > TOLERANCE else "state that is updated once per batch"
        text = f"{how}: {shown} change the {where} by {off:.1e}"
        out = f"but {option} is false, so the norm would be run as if it had none; leave that option out"
        return passed(text) if said else failed(f"{text}, {out}")
    if seen.kind == "stream":
        text = f"a stream: a batch equals its {shown} one after the other (to {seen.streamed[1]:.0e})"
        if not isinstance(subject.config, OwnNormConfig):
            return passed(text)
        lets = f"{option}: false lets it run whole batches, but use one worker" if said else "use one worker"
        return noted(f"{text}; {lets}, since each of several workers has its own stream")
    text = f"images do not influence each other: a batch equals its {shown} (to {off:.0e})"
    return noted(f"{text}; {option}: false lets it run whole batches") if said else passed(text)


def _seen(subject: Subject, sizes: tuple[int, ...]) -> _Seen:
    x = subject.maps(dtype=torch.float64)
    weights = weighting(x)
    whole = step(subject.trained(torch.float64), x, weights)
    parts = list(zip(x.split(sizes), weights.split(sizes), strict=True))  # type: ignore[arg-type]
    alone = _together([step(subject.trained(torch.float64), *part) for part in parts])
    norm = subject.trained(torch.float64)
    streamed = _together([step(norm, *part) for part in parts])
    return _Seen(largest(alone, whole, states=False), largest(streamed, whole))


def _together(steps: list[Step]) -> Step:
    """The steps of a batch's parts as one: outputs concatenated, parameters' gradients summed, the last state."""
    grads = {
        name: sum((s.grads[name] for s in steps[1:]), steps[0].grads[name])
        for name in steps[0].grads
        if name != "input"
    }
    joined = torch.cat([s.grads["input"] for s in steps])
    return Step(y=torch.cat([s.y for s in steps]), grads={"input": joined, **grads}, state=steps[-1].state)


def frozen_evaluation(subject: Subject) -> Finding:
    """Evaluation changes no state, and an image's output depends on that image alone."""
    norm = subject.trained(torch.float64).eval()
    x = subject.maps(dtype=torch.float64)
    before = state(norm)
    first, second = step(norm, x), step(norm, x)
    moved = {name: difference(value, before[name]) for name, value in state(norm).items()}
    for name, off in moved.items():
        if off:
            return failed(f"evaluation changes {name} by {off:.1e}; update state only if self.training")
    off = difference(first.y, second.y)
    if off:
        return failed(
            f"in evaluation, a second run on the same images changes the output by {off:.1e}; "
            "do not update state or draw random numbers there"
        )
    with torch.no_grad():
        off = difference(norm(x.flip(0)).flip(0), first.y)
        if off > TOLERANCE:
            return failed(
                f"the order of the images changes the output by {off:.1e}; use running statistics in evaluation"
            )
        off = difference(torch.cat([norm(image) for image in x.split(1)]), first.y)
    if off > TOLERANCE:
        return failed(
            f"an image's output differs by {off:.1e} when it is alone in a batch; use running statistics in evaluation"
        )
    return passed("evaluation changes no state, and an image's output depends on that image alone")


def copies(subject: Subject) -> Finding:
    """A loaded state_dict and a deepcopy continue as the norm itself does, and a deepcopy shares no state with it."""
    x = subject.maps()
    loaded, kept = subject.made(), subject.trained()
    step(loaded, subject.maps(seed=50))  # Changes the state, which load_state_dict must replace.
    loaded.load_state_dict(subject.trained().state_dict())
    expected = step(subject.trained(), x)
    where, off = largest(step(loaded, x), expected)
    if off > TOLERANCE:
        text = f"after load_state_dict the {where} of the next step differs by {off:.1e}"
        return failed(f"{text}; keep all state in parameters and buffers (register_buffer)")
    copied, before = copy.deepcopy(kept), state(kept)
    where, off = largest(step(copied, x), expected)
    if off > TOLERANCE:
        return failed(f"a deepcopy's {where} differs by {off:.1e}; keep all state in parameters and buffers")
    for name, value in state(kept).items():
        if difference(value, before[name]):
            return failed(f"a deepcopy shares {name} with the norm it was made from; create state in __init__")
    return passed("a loaded state_dict and a deepcopy continue with the same numbers")
