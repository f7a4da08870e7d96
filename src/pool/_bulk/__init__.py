"""The bulk engine: many requests in flight from one thread."""
