"""The client surface on real servers."""
