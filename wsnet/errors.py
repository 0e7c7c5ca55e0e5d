"""The class of every error in what a user gives wsnet."""

__all__ = ["Error"]


class Error(ValueError):
    """Something that a user gave cannot be used: a configuration, images, a folder, a model; the message says why."""
