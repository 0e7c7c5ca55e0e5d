"""Times and sizes as people read them."""

__all__ = ["duration", "readable_size"]


def duration(seconds: float) -> str:
    """`45 s`, `2.5 min`, `3.0 hours`, `2.1 days`."""
    for unit, length in (("days", 86_400), ("hours", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def readable_size(size: float) -> str:
    """Bytes in powers of 1000: `12 B`, `345 kB`, `1.2 TB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
