"""What a report can fail with."""

__all__ = ["ReportError"]


class ReportError(ValueError):
    """A report that can not be made; the message is one line for a person."""
