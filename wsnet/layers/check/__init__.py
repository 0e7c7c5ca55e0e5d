"""`python -m wsnet.layers check NORM`: what a norm has to do to be trusted in a sweep, tried out and printed."""

from wsnet.layers.check.cli import CHECKS, check
from wsnet.layers.check.subject import Finding, Line, Subject

__all__ = ["CHECKS", "Finding", "Line", "Subject", "check"]
