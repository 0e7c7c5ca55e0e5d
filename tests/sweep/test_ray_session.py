"""Signals while Ray starts; `test_interrupt.py` sends them to a real sweep."""

import signal
import sys

import pytest

from wsnet.sweep import ray_session


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_ray_starts_is_handled_afterwards_as_before(number: signal.Signals) -> None:
    handled = []
    before = signal.signal(number, lambda *_: handled.append(number))
    try:
        with ray_session._deferred() as deliver:
            if number == signal.SIGTERM:  # As `ray.init` does.
                signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))
            signal.raise_signal(number)
            assert not handled
        assert not handled
        deliver()
        assert handled == [number]
        signal.raise_signal(number)
        assert handled == [number, number]
    finally:
        signal.signal(number, before)
