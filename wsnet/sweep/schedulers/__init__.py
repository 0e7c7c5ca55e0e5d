"""Which trials stop early: Tune schedulers for single trials and for settings with all their seeds."""
