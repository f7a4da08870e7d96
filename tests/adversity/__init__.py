"""Servers that misbehave, and what each misbehaviour must lead to."""
