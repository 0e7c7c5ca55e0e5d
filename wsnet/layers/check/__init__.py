"""`python -m wsnet.layers check NORM`: what a norm has to do to be trusted in a sweep, tried out and printed."""

from wsnet.layers.check.finding import Finding, Line
from wsnet.layers.check.run import CHECKS, check
from wsnet.layers.check.subject import Subject

__all__ = ["CHECKS", "Finding", "Line", "Subject", "check"]
