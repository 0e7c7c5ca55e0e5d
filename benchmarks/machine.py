"""What a benchmark's numbers depend on: processor, cores, versions and load of the machine."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["machine"]

_FAST_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
"""Flags of processors that multiply bfloat16 numbers faster than float32 ones (x86, x86, ARM)."""


def machine() -> dict[str, Any]:
    """The facts, without importing torch."""
    about = _processor()
    flags = about.get("flags", about.get("Features", "")).split()
    return {
        "processor": about.get("model name") or platform.processor() or platform.machine(),
        "bfloat16": [flag for flag in _FAST_BFLOAT16 if flag in flags],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": _version("torch"),
        "wsnet": _version("wsnet"),
    }


def _processor() -> dict[str, str]:
    """The first processor's entry in /proc/cpuinfo; empty where there is none."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
