"""A manager that lived before a fork."""
