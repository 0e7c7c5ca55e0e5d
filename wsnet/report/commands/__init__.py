"""What `analyze.py` does besides writing a report, one option a file."""
