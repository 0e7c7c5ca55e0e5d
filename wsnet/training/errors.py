"""What a trial can be refused for."""

__all__ = ["TrialError"]


class TrialError(ValueError):
    """A trial that can not be trained as it is configured, or not here.

    The message names the option, its value and the rule.
    """
