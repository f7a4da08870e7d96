"""The test suite; a package so that its measuring commands run as `python -m tests...`."""
