"""Peak memory of streamed and preloaded bodies."""
