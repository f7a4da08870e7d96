"""Benchmarks; README.md here says how to run them and what the numbers mean."""
