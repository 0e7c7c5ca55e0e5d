"""Keeps functions of torch's that compile nothing from importing its compiler: 2 s, and 150 MB of a process.

Optimizers, and the functions that compute shapes on the meta device, import it only to exempt themselves from being
compiled.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

__all__ = ["without_compiler"]


@contextmanager
def without_compiler() -> Iterator[None]:
    """Within the context, nothing of torch imports torch's compiler, unless that was imported before.

    Only for functions of torch's that compile nothing.
    """
    if "torch._dynamo" in sys.modules:
        yield
        return
    exempt: list[Any] = []
    stand_in: Any = ModuleType("torch._dynamo")

    def disable(function: Any, *_: Any, **__: Any) -> Any:
        exempt.append(function)
        return function

    stand_in.disable, stand_in.graph_break = disable, lambda *_: None
    sys.modules["torch._dynamo"] = stand_in
    try:
        yield
    finally:
        del sys.modules["torch._dynamo"]
        for function in exempt:  # Later they ask the compiler itself.
            vars(function).pop("__dynamo_disable", None)
