"""The clients that are compared: one module each, all with the same three names.

* ``label``: name and version, for the table
* ``open(base_url, headers)``: a client that is ready to use, with one connection at most
* ``get(client, path)``: one GET of ``base_url + path`` with `headers`; returns (status, data)

A peer is imported only in the process that measures it (`benchmarks.worker`).
"""

NAMES = ("pool", "urllib3", "http_client", "bare_socket")
TIMEOUT = 5  # seconds; every peer waits with this timeout
