"""`status`, `stop`, `retry`, `gc` and `--dry-run`: what `run_sweep.py` does besides training."""
