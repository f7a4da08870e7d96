"""The pages of docs/: their recipes run, and what they name exists."""
