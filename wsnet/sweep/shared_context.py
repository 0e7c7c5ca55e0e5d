"""Hands a sweep's context to its trials: each process reads it once, however many trials it trains."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from wsnet.sweep.context import SweepContext

__all__ = ["sharing"]

Job = Callable[..., None]


def sharing(function: Job, context: SweepContext) -> Job:
    """The Tune function `function(config, context=context)`, with the context in Ray's object store.

    With `tune.with_parameters` every trial would read the whole context again: 20 ms for 10,000 trials.

    Args:
        function: takes Tune's config and, as a keyword, the context.
        context: the sweep's.
    """
    import ray

    reference = ray.put(context)

    def job(config: dict[str, Any]) -> None:
        function(config, context=_read(reference))

    job.__name__ = function.__name__  # Ray's dashboard shows it.
    return job


@lru_cache(maxsize=1)
def _read(reference: Any) -> SweepContext:
    import ray

    context: SweepContext = ray.get(reference)
    return context
