"""Fuzzing of the core and of the URL parser: `python -m tests.fuzz --help`."""
