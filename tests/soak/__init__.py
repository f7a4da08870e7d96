"""Threads and the bulk engine against a server that breaks its promises; see `__main__`."""
