"""`python -m wsnet.layers check NORM`: checks whether a norm can be trusted in a sweep."""

from wsnet.layers.check.cli import CHECKS, check
from wsnet.layers.check.subject import Finding, Line, Subject

__all__ = ["CHECKS", "Finding", "Line", "Subject", "check"]
