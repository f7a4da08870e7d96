"""When a request has to go through a CONNECT tunnel."""

from __future__ import annotations

import typing

from .url import Url

if typing.TYPE_CHECKING:
    from ..connection import ProxyConfig


def connection_requires_http_tunnel(
    proxy_url: Url | None = None,
    proxy_config: ProxyConfig | None = None,
    destination_scheme: str | None = None,
) -> bool:
    """True when the proxy is asked to CONNECT, False when it is sent the whole request."""
    if not proxy_url or destination_scheme == "http":
        return False
    forwards_https = (
        proxy_url.scheme == "https"
        and proxy_config is not None
        and proxy_config.use_forwarding_for_https
    )
    return not forwards_https
