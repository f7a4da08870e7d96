"""All scenarios; importing the package fills `tests.adversity.arena.SCENARIOS`."""

from . import codings, framing, inputs, life, proxies, redirects, tls

__all__ = ["codings", "framing", "inputs", "life", "proxies", "redirects", "tls"]
