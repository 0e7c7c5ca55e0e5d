"""Sweeps in several parts: rounds of suggested settings, and two stages."""
