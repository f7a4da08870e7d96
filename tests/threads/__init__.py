"""Threads sharing one manager."""
