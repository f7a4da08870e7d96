"""SOCKS proxies through PySocks (the extra ``socks``).

``socks4://`` and ``socks5://`` resolve names here, ``socks4a://`` and ``socks5h://`` at the
proxy.  Credentials come from the proxy URL (percent-decoded) or from arguments; SOCKS4
sends the user name as its user id.
"""

from __future__ import annotations

try:
    import socks
except ImportError:
    import warnings

    from ..exceptions import DependencyWarning

    warnings.warn(
        (
            "SOCKS support in urllib3 requires the installation of optional "
            "dependencies: specifically, PySocks.  For more information, see "
            "https://urllib3.readthedocs.io/en/latest/advanced-usage.html#socks-proxies"
        ),
        DependencyWarning,
        stacklevel=2,
    )
    raise

import typing

from ..connection import HTTPConnection, HTTPSConnection
from ..connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from ..exceptions import ConnectTimeoutError, NewConnectionError
from ..poolmanager import PoolManager
from ..util.url import parse_url


class _TYPE_SOCKS_OPTIONS(typing.TypedDict):
    socks_version: int
    proxy_host: str | None
    proxy_port: str | None
    username: str | None
    password: str | None
    rdns: bool


# URL scheme: SOCKS version, and whether the proxy resolves names.
_SCHEMES: dict[str | None, tuple[int, bool]] = {
    "socks4": (socks.PROXY_TYPE_SOCKS4, False),
    "socks4a": (socks.PROXY_TYPE_SOCKS4, True),
    "socks5": (socks.PROXY_TYPE_SOCKS5, False),
    "socks5h": (socks.PROXY_TYPE_SOCKS5, True),
}


class SOCKSConnection(HTTPConnection):
    """A connection whose socket is opened by a SOCKS proxy."""

    def __init__(
        self,
        _socks_options: _TYPE_SOCKS_OPTIONS,
        *args: typing.Any,
        **kwargs: typing.Any,
    ) -> None:
        self._socks_options = _socks_options
        super().__init__(*args, **kwargs)

    def _new_conn(self) -> socks.socksocket:
        """Open a socket through the proxy.

        :raises ConnectTimeoutError: the proxy or the target took longer than ``timeout``.
        :raises NewConnectionError: the proxy cannot be reached, or refuses.
        """
        try:
            return self._open_through_proxy()
        except TimeoutError as error:
            raise self._connect_timeout() from error
        except socks.ProxyError as error:
            if isinstance(error.socket_err, TimeoutError):
                raise self._connect_timeout() from error
            # The socket's own error says what happened; PySocks' text only where.
            reason = error.socket_err or error
            raise NewConnectionError(
                self, f"Failed to establish a new connection: {reason}"
            ) from error
        except OSError as error:
            raise NewConnectionError(
                self, f"Failed to establish a new connection: {error}"
            ) from error

    def _open_through_proxy(self) -> socks.socksocket:
        options = self._socks_options
        optional: dict[str, typing.Any] = {}
        if self.source_address:
            optional["source_address"] = self.source_address
        if self.socket_options:
            optional["socket_options"] = self.socket_options
        return socks.create_connection(
            (self.host, self.port),
            proxy_type=options["socks_version"],
            proxy_addr=options["proxy_host"],
            proxy_port=options["proxy_port"],
            proxy_username=options["username"],
            proxy_password=options["password"],
            proxy_rdns=options["rdns"],
            timeout=self.timeout,
            **optional,
        )

    def _connect_timeout(self) -> ConnectTimeoutError:
        return ConnectTimeoutError(
            self, f"Connection to {self.host} timed out. (connect timeout={self.timeout})"
        )


class SOCKSHTTPSConnection(SOCKSConnection, HTTPSConnection):
    """TLS to the target, inside the proxy's connection."""


class SOCKSHTTPConnectionPool(HTTPConnectionPool):
    ConnectionCls = SOCKSConnection


class SOCKSHTTPSConnectionPool(HTTPSConnectionPool):
    ConnectionCls = SOCKSHTTPSConnection


# One dictionary for all managers, as in PoolManager: changing it in place changes them all.
_POOL_CLASSES: dict[str, type[HTTPConnectionPool]] = {
    "http": SOCKSHTTPConnectionPool,
    "https": SOCKSHTTPSConnectionPool,
}


class SOCKSProxyManager(PoolManager):
    """A ``PoolManager`` whose connections go through one SOCKS proxy.

    :param proxy_url: ``socks5h://user:password@host:port`` and the like.
    :raises ValueError: the scheme of ``proxy_url`` is no SOCKS version.
    """

    pool_classes_by_scheme = _POOL_CLASSES

    def __init__(
        self,
        proxy_url: str,
        username: str | None = None,
        password: str | None = None,
        num_pools: int = 10,
        headers: typing.Mapping[str, str] | None = None,
        **connection_pool_kw: typing.Any,
    ):
        proxy = parse_url(proxy_url)
        if username is None and password is None:
            username, password = proxy.auth_decoded
        if proxy.scheme not in _SCHEMES:
            raise ValueError(f"Unable to determine SOCKS version from {proxy_url}")
        version, rdns = _SCHEMES[proxy.scheme]

        self.proxy_url = proxy_url
        connection_pool_kw["_socks_options"] = {
            "socks_version": version,
            "proxy_host": proxy.host,
            "proxy_port": proxy.port,
            "username": username,
            "password": password,
            "rdns": rdns,
        }
        super().__init__(num_pools, headers, **connection_pool_kw)
        # PoolManager.__init__ has put its own classes on the instance.
        self.pool_classes_by_scheme = SOCKSProxyManager.pool_classes_by_scheme
