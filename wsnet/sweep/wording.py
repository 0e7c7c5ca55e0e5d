"""Wording that the messages of a sweep share."""

__all__ = ["counted"]


def counted(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
