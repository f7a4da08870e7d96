"""PoolManager: a pool per origin, kept by recent use, and redirects between origins.

Owns the pools, the map from origins to their keys, and the TLS contexts that its pools
share.  ProxyManager sends all of it through one proxy.
"""

from __future__ import annotations

import functools
import typing
import warnings
from types import TracebackType
from urllib.parse import urljoin

from ._collections import HTTPHeaderDict as HTTPHeaderDict
from ._collections import RecentlyUsedContainer, unshared
from ._fastpool import (
    Origins,
    bind_compiled_request,
    bind_container,
    bind_methods,
    request,
    send_from_manager,
)
from ._log import logging
from ._members import ManagerMembers
from ._request_methods import RequestMethods
from .connection import ProxyConfig
from .connectionpool import (
    _NO_HOST_HINT,
    HTTPConnectionPool,
    HTTPSConnectionPool,
    _advise,
    _checked_location,
    _count_response,
    _preloaded,
    _require_rewindable,
    _without_body,
    _without_credentials,
    port_by_scheme,
)
from .exceptions import (
    LocationParseError,
    LocationValueError,
    ProxySchemeUnknown,
    URLSchemeUnknown,
)
from .exceptions import MaxRetryError as MaxRetryError
from .response import BaseHTTPResponse
from .util.connection import _TYPE_SOCKET_OPTIONS
from .util.proxy import connection_requires_http_tunnel
from .util.retry import Retry
from .util.timeout import Timeout
from .util.url import Url, parse_url

if typing.TYPE_CHECKING:
    import ssl

    from typing_extensions import Self

    from ._bulk import _TYPE_REQUESTS, Result, Results
    from ._limits import Limits
    from .util.ssl_cache import ContextCache

__all__ = ["PoolManager", "ProxyManager", "proxy_from_url"]

log = logging.getLogger("urllib3.poolmanager")

SSL_KEYWORDS = (
    "key_file",
    "cert_file",
    "cert_reqs",
    "ca_certs",
    "ca_cert_data",
    "ssl_version",
    "ssl_minimum_version",
    "ssl_maximum_version",
    "ca_cert_dir",
    "ssl_context",
    "key_password",
    "server_hostname",
    "assert_hostname",
    "assert_fingerprint",
)
# Bytes; what http.client uses, too.
_DEFAULT_BLOCKSIZE = 16384


class PoolKey(typing.NamedTuple):
    """What distinguishes one pool from another: every keyword of pools and connections."""

    key_scheme: str
    key_host: str
    key_port: int | None
    key_timeout: Timeout | float | int | None
    key_retries: Retry | bool | int | None
    key_block: bool | None
    key_source_address: tuple[str, int] | None
    key_key_file: str | None
    key_key_password: str | None
    key_cert_file: str | None
    key_cert_reqs: str | None
    key_ca_certs: str | None
    key_ca_cert_data: str | bytes | None
    key_ssl_version: int | str | None
    key_ssl_minimum_version: ssl.TLSVersion | None
    key_ssl_maximum_version: ssl.TLSVersion | None
    key_ca_cert_dir: str | None
    key_ssl_context: ssl.SSLContext | None
    key_maxsize: int | None
    key_headers: frozenset[tuple[str, str]] | None
    key__proxy: Url | None
    key__proxy_headers: frozenset[tuple[str, str]] | None
    key__proxy_config: ProxyConfig | None
    key_socket_options: _TYPE_SOCKET_OPTIONS | None
    key__socks_options: frozenset[tuple[str, str]] | None
    key_assert_hostname: bool | str | None
    key_assert_fingerprint: str | None
    key_server_hostname: str | None
    key_blocksize: int | None


def _default_key_normalizer(
    key_class: type[PoolKey], request_context: dict[str, typing.Any]
) -> PoolKey:
    """The pool key of a request context: scheme and host without case, all values hashable.

    `key_class` is a named tuple with at least key_scheme and key_host; TypeError when the
    context has a keyword that it lacks.
    """
    settings = (key_class, *request_context.items())
    plain = _PLAIN_TYPES.issuperset(map(type, request_context.values()))
    # No get(): without the GIL it takes a lock of the dict, which a fork may leave taken.
    if plain and settings in _known_keys:
        try:
            return _known_keys[settings]
        except KeyError:  # forgotten meanwhile, by another thread
            pass
    key = _make_key(key_class, request_context)
    if plain:
        if len(_known_keys) >= _MOST_KNOWN_KEYS:
            _known_keys.clear()
        _known_keys[settings] = key
    return key


# Keys that were made of nothing but such values, which are cheap to hash and own nothing:
# requests asks for one with every request.
_PLAIN_TYPES = frozenset({str, int, float, bool, type(None)})
_MOST_KNOWN_KEYS = 256
_known_keys: dict[tuple[typing.Any, ...], PoolKey] = {}


def _make_key(key_class: type[PoolKey], request_context: dict[str, typing.Any]) -> PoolKey:
    fields: dict[str, typing.Any] = dict.fromkeys(key_class._fields)
    fields.update((f"key_{name}", value) for name, value in request_context.items())
    fields["key_scheme"] = request_context["scheme"].lower()
    fields["key_host"] = request_context["host"].lower()
    for name in ("key_headers", "key__proxy_headers", "key__socks_options"):
        if fields.get(name) is not None:
            fields[name] = frozenset(fields[name].items())
    if fields.get("key_socket_options") is not None:
        fields["key_socket_options"] = tuple(fields["key_socket_options"])
    if fields.get("key_blocksize") is None:
        fields["key_blocksize"] = _DEFAULT_BLOCKSIZE
    return key_class(**fields)


#: Makes the pool key, by scheme.  Each manager starts with a copy.
key_fn_by_scheme = {
    "http": functools.partial(_default_key_normalizer, PoolKey),
    "https": functools.partial(_default_key_normalizer, PoolKey),
}

#: The pool classes, by scheme; shared by the managers that are not given their own.
pool_classes_by_scheme = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}


class PoolManager(ManagerMembers, RequestMethods):
    """Sends requests anywhere and keeps the pools that this takes.

    `num_pools` pools are kept, the least recently used goes first.  `headers` are sent with
    requests that give none.  `limits` bounds what a server may make us read.
    `connection_pool_kw` goes to the pools.
    """

    proxy: Url | None = None
    proxy_config: ProxyConfig | None = None

    def __init__(
        self,
        num_pools: int = 10,
        headers: typing.Mapping[str, str] | None = None,
        *,
        limits: Limits | None = None,
        **connection_pool_kw: typing.Any,
    ) -> None:
        super().__init__(headers)
        self.proxy = self.proxy  # as every attribute of each request, the instance's own
        # As a number it would be made a Retry by pools that are called with
        # redirect=False, and then forbid the redirects that we follow.
        retries = connection_pool_kw.get("retries", Retry.DEFAULT)
        if not isinstance(retries, Retry) and not hasattr(retries, "increment"):
            connection_pool_kw = {**connection_pool_kw, "retries": Retry.from_int(retries)}
        self.connection_pool_kw = connection_pool_kw
        self.limits = limits
        self.pools: RecentlyUsedContainer[PoolKey, HTTPConnectionPool]
        self.pools = RecentlyUsedContainer(num_pools)
        self.pool_classes_by_scheme = pool_classes_by_scheme
        self.key_fn_by_scheme = key_fn_by_scheme.copy()
        self._context_cache: ContextCache | None = None
        self._origins = Origins()

    def __getstate__(self) -> dict[str, typing.Any]:
        """The configuration; connections stay where they are."""
        for name in ("ssl_context", "_proxy_config"):
            value = self.connection_pool_kw.get(name)
            context = value if name == "ssl_context" else getattr(value, "ssl_context", None)
            if context is not None:
                raise TypeError(
                    "a PoolManager with an SSLContext cannot be pickled: give ca_certs, "
                    "cert_file and the other TLS settings instead"
                )
        members = ("connection_pool_kw", "key_fn_by_scheme")
        state = {**self.__dict__, **{name: getattr(self, name) for name in members}}
        state["pools"] = self.pools._maxsize
        state.pop("_context_cache", None)
        if self.pool_classes_by_scheme is pool_classes_by_scheme:
            del state["pool_classes_by_scheme"]
        return state

    def __setstate__(self, state: dict[str, typing.Any]) -> None:
        state = {"pool_classes_by_scheme": pool_classes_by_scheme, **state}
        maxsize = state.pop("pools")
        for name, value in state.items():
            setattr(self, name, value)
        self.pools = RecentlyUsedContainer(maxsize)
        self._context_cache = None
        self._origins = Origins()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> typing.Literal[False]:
        self.clear()
        return False

    def _new_pool(
        self,
        scheme: str,
        host: str,
        port: int,
        request_context: dict[str, typing.Any] | None = None,
    ) -> HTTPConnectionPool:
        """Make a pool; to be overridden.  `request_context` has the pool's keywords."""
        pool_class: type[HTTPConnectionPool] = self.pool_classes_by_scheme[scheme]
        if request_context is None:
            request_context = self.connection_pool_kw.copy()
        if request_context.get("blocksize") is None:
            request_context["blocksize"] = _DEFAULT_BLOCKSIZE
        for name in ("scheme", "host", "port"):
            request_context.pop(name, None)
        if scheme == "http":
            for name in SSL_KEYWORDS:
                request_context.pop(name, None)
        return pool_class(host, port, **request_context)

    def clear(self) -> None:
        """Forget all pools; each closes its connections when nothing uses it any more."""
        self.pools.clear()

    def connection_from_host(
        self,
        host: str | None,
        port: int | None = None,
        scheme: str | None = "http",
        pool_kwargs: dict[str, typing.Any] | None = None,
    ) -> HTTPConnectionPool:
        """The pool for an origin; `pool_kwargs` go over the manager's own for a new one.

        LocationValueError without a host, URLSchemeUnknown for a scheme without pools.
        """
        if not host:
            raise _advise(LocationValueError("No host specified."), _NO_HOST_HINT)
        return self.connection_from_context(self._context(host, port, scheme, pool_kwargs))

    def _context(
        self,
        host: str,
        port: int | None,
        scheme: str | None,
        pool_kwargs: dict[str, typing.Any] | None,
    ) -> dict[str, typing.Any]:
        context = self._merge_pool_kwargs(pool_kwargs)
        context["scheme"] = scheme or "http"
        if port is None:
            port = port_by_scheme.get(context["scheme"].lower(), 80)
        context["port"] = port
        context["host"] = host
        return context

    def connection_from_context(self, request_context: dict[str, typing.Any]) -> HTTPConnectionPool:
        """The pool for a context, which has scheme, host, port and the pool's keywords."""
        if "strict" in request_context:
            warnings.warn(
                "The 'strict' parameter is no longer needed on Python 3+. "
                "This will raise an error in urllib3 v3.0.",
                FutureWarning,
                stacklevel=1,
            )
            request_context.pop("strict")
        scheme = request_context["scheme"].lower()
        known = scheme in self.key_fn_by_scheme
        make_key = self.key_fn_by_scheme[scheme] if known else None
        if not make_key:
            raise URLSchemeUnknown(scheme)
        return self.connection_from_pool_key(
            make_key(request_context), request_context=request_context
        )

    def connection_from_pool_key(
        self, pool_key: PoolKey, request_context: dict[str, typing.Any]
    ) -> HTTPConnectionPool:
        """The pool with this key, made from the context when there is none."""
        with self.pools.lock:
            pool = self.pools.get(pool_key)
            if not pool:
                pool = self._new_pool(
                    request_context["scheme"],
                    request_context["host"],
                    request_context["port"],
                    request_context=request_context,
                )
                self._equip(pool)
                self.pools[pool_key] = pool
            return pool

    def _equip(self, pool: typing.Any) -> None:
        """Hand over what is ours and no keyword, which foreign pools would refuse."""
        if self.limits is not None:
            pool.limits = self.limits
        if isinstance(pool, HTTPSConnectionPool):
            if self._context_cache is None:
                from .util.ssl_cache import ContextCache

                self._context_cache = ContextCache()
            pool._context_cache = self._context_cache

    def connection_from_url(
        self, url: str, pool_kwargs: dict[str, typing.Any] | None = None
    ) -> HTTPConnectionPool:
        """The pool for the origin of `url`; otherwise as connection_from_host."""
        parsed = parse_url(url)
        return self.connection_from_host(
            parsed.host, port=parsed.port, scheme=parsed.scheme, pool_kwargs=pool_kwargs
        )

    def _merge_pool_kwargs(self, override: dict[str, typing.Any] | None) -> dict[str, typing.Any]:
        """A copy of the pools' keywords with `override` on top; None there removes one."""
        merged = unshared(self.connection_pool_kw)
        for name, value in (override or {}).items():
            if value is None:
                merged.pop(name, None)
            else:
                merged[name] = value
        return merged

    def _proxy_requires_url_absolute_form(self, parsed_url: Url) -> bool:
        """Whether the whole URL goes into the request line, for a proxy without a tunnel."""
        if self.proxy is None:
            return False
        return not connection_requires_http_tunnel(self.proxy, self.proxy_config, parsed_url.scheme)

    if not typing.TYPE_CHECKING:
        request = request  # the one of RequestMethods, compiled

    def _request_by_method(self, *args: typing.Any, **kw: typing.Any) -> BaseHTTPResponse:
        """request(), where somebody has replaced the one that is not compiled."""
        return super().request(*args, **kw)

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **kw: typing.Any
    ) -> BaseHTTPResponse:
        """Send a request to the pool for `url`, which is absolute, and follow redirects.

        Keywords are HTTPConnectionPool.urlopen's.
        """
        return send_from_manager(self, (method, url, redirect), kw)

    def _follow(
        self,
        pool: HTTPConnectionPool,
        request: tuple[str, str, bool],
        kw: dict[str, typing.Any],
        body_pos: typing.Any,
        response: BaseHTTPResponse,
    ) -> BaseHTTPResponse:
        """Go where a response leads; `request` (method, URL, redirect) and `kw` were for it."""
        method, url, redirect = request
        location = response.get_redirect_location()
        if not location:
            return response
        if body_pos is not None:
            kw["body_pos"] = body_pos
        location = _absolute(url, _checked_location(response, location), response)
        if response.status == 303:
            method, kw["headers"] = "GET", _without_body(kw["headers"])
            kw.update(body=None, chunked=False, body_pos=None)
        retries = self._count_redirect(pool, (method, url, location, response), kw)
        if retries is None:
            return _preloaded(response)
        kw["retries"] = retries
        kw["redirect"] = redirect
        log.info("Redirecting %s -> %s", url, location)
        response.drain_conn()
        _require_rewindable(kw.get("body"), body_pos)
        return self.urlopen(method, location, **kw)

    def _route(self, url: str) -> tuple[HTTPConnectionPool, str]:
        """The pool for a URL, and what goes into the request line."""
        parsed = parse_url(url)
        if parsed.scheme is None:
            warnings.warn(
                "URLs without a scheme (ie 'https://') are deprecated and will raise an error "
                "in urllib3 v3.0. To avoid this FutureWarning ensure all URLs "
                "start with 'https://' or 'http://'. Read more in this issue: "
                "https://github.com/urllib3/urllib3/issues/2920",
                category=FutureWarning,
                stacklevel=3,
            )
        pool = self.connection_from_host(parsed.host, port=parsed.port, scheme=parsed.scheme)
        if self.proxy is None:
            self._learn(url, parsed, pool)
        if self._proxy_requires_url_absolute_form(parsed):
            return pool, parsed._replace(fragment=None).url
        return pool, parsed.request_uri

    def _learn(self, url: str, parsed: Url, pool: HTTPConnectionPool) -> None:
        """Note which pool key belongs to the URL's origin, for `Origins.find()`."""
        # One copy() of the whole: no other thread changes it between two keywords.
        settings = {k: _copied(v) for k, v in self.connection_pool_kw.copy().items()}
        scheme = parsed.scheme or "http"
        make_key = self.key_fn_by_scheme.get(scheme)
        if make_key is None or parsed.host is None or "strict" in settings:
            return
        key = make_key(self._context(parsed.host, parsed.port, parsed.scheme, None))
        if self.pools.get(key) is pool:
            self._origins.learn(self, url, scheme, key, settings)

    def _count_redirect(
        self,
        pool: HTTPConnectionPool,
        step: tuple[str, str, str, BaseHTTPResponse],
        kw: dict[str, typing.Any],
    ) -> Retry | None:
        """The retries after a redirect; None when the response is the caller's answer."""
        method, url, location, response = step
        retries: typing.Any = kw.get("retries", response.retries)
        if not isinstance(retries, Retry) and not hasattr(retries, "increment"):
            retries = Retry.from_int(retries, redirect=True)
        forbidden = retries.remove_headers_on_redirect
        if forbidden and not pool.is_same_host(location):
            kw["headers"] = _without_credentials(kw["headers"], forbidden)
        return _count_response(pool, retries, (method, url), response, "raise_on_redirect")

    def imap_unordered(
        self,
        requests: _TYPE_REQUESTS,
        *,
        concurrency: int = 64,
        per_host: int | None = None,
        on_error: typing.Literal["yield", "raise"] = "yield",
        deadline: float | None = None,
        max_body: int | None = None,
        **defaults: typing.Any,
    ) -> Results:
        """Send many requests at a time; yields a `pool.Result` for each as it is done.

        `requests` gives URLs, (method, url) pairs or `pool.Request`s; None for "nothing yet".
        `concurrency` are in flight in all, `per_host` per origin.  `deadline` (seconds) is for
        one request, its retries and redirects; `max_body` (bytes) for a decoded body.
        `defaults` are keywords of request().  Leaving the iterator cancels what is in flight.
        """
        from ._bulk import Options, start

        options = Options(concurrency, per_host, deadline, max_body, defaults)
        return start(self, requests, options, on_error=on_error, ordered=False)

    def imap(
        self,
        requests: _TYPE_REQUESTS,
        *,
        concurrency: int = 64,
        per_host: int | None = None,
        on_error: typing.Literal["yield", "raise"] = "yield",
        deadline: float | None = None,
        max_body: int | None = None,
        **defaults: typing.Any,
    ) -> Results:
        """As imap_unordered(), with the results in the order of `requests`."""
        from ._bulk import Options, start

        options = Options(concurrency, per_host, deadline, max_body, defaults)
        return start(self, requests, options, on_error=on_error, ordered=True)

    def map(self, requests: _TYPE_REQUESTS, **options: typing.Any) -> list[Result]:
        """The results of imap(), whose keywords it takes, as a list."""
        with self.imap(requests, **options) as results:
            return list(results)


def _absolute(base: str, location: str, response: BaseHTTPResponse) -> str:
    try:
        return urljoin(base, location)
    except ValueError:  # such as brackets without an address
        response.drain_conn()
        raise LocationParseError(location) from None


def _copied(value: typing.Any) -> typing.Any:
    """A value that shows, when compared with, that the original was changed in place."""
    return value.copy() if isinstance(value, (dict, list, set)) else value


bind_compiled_request(request)
bind_methods("sending", PoolManager.urlopen)
bind_methods(
    "lookup",
    PoolManager.connection_from_host,
    PoolManager.connection_from_context,
    PoolManager.connection_from_pool_key,
    PoolManager._merge_pool_kwargs,
)
bind_container(RecentlyUsedContainer)


class ProxyManager(PoolManager):
    """A PoolManager that sends everything through one proxy.

    HTTPS goes through a tunnel made by CONNECT, HTTP (and HTTPS to an HTTPS proxy, with
    `use_forwarding_for_https`: the proxy then sees everything) is forwarded by the proxy.
    `proxy_headers` are for the proxy alone.  `proxy_ssl_context` and the two `proxy_assert_*`
    are the TLS settings towards an HTTPS proxy.  ProxySchemeUnknown unless http or https.
    """

    def __init__(
        self,
        proxy_url: str,
        num_pools: int = 10,
        headers: typing.Mapping[str, str] | None = None,
        proxy_headers: typing.Mapping[str, str] | None = None,
        proxy_ssl_context: ssl.SSLContext | None = None,
        use_forwarding_for_https: bool = False,
        proxy_assert_hostname: None | str | typing.Literal[False] = None,
        proxy_assert_fingerprint: str | None = None,
        **connection_pool_kw: typing.Any,
    ) -> None:
        if isinstance(proxy_url, HTTPConnectionPool):
            proxy_url = f"{proxy_url.scheme}://{proxy_url.host}:{proxy_url.port}"
        proxy = parse_url(proxy_url)
        if proxy.scheme not in ("http", "https"):
            raise ProxySchemeUnknown(proxy.scheme)
        if proxy.port is None:
            proxy = proxy._replace(port=port_by_scheme.get(proxy.scheme, 80))

        self.proxy_ssl_context = proxy_ssl_context
        target_context = connection_pool_kw.get("ssl_context")
        if use_forwarding_for_https and proxy.scheme == "https" and target_context is not None:
            warnings.warn(
                "Passing ssl_context when use_forwarding_for_https=True is deprecated "
                "and will raise an error in urllib3 v3.0. "
                "Use proxy_ssl_context to configure the TLS connection to the proxy.",
                FutureWarning,
                stacklevel=2,
            )
            if proxy_ssl_context is None:
                self.proxy_ssl_context = target_context
        self.proxy = proxy
        self.proxy_headers = proxy_headers or {}
        # The context as given: what stands in for it is decided by the connection.
        self.proxy_config = ProxyConfig(
            proxy_ssl_context,
            use_forwarding_for_https,
            proxy_assert_hostname,
            proxy_assert_fingerprint,
        )
        connection_pool_kw["_proxy"] = self.proxy
        connection_pool_kw["_proxy_headers"] = self.proxy_headers
        connection_pool_kw["_proxy_config"] = self.proxy_config
        super().__init__(num_pools, headers, **connection_pool_kw)

    def connection_from_host(
        self,
        host: str | None,
        port: int | None = None,
        scheme: str | None = "http",
        pool_kwargs: dict[str, typing.Any] | None = None,
    ) -> HTTPConnectionPool:
        """One pool per HTTPS origin; one, to the proxy, for everything else."""
        if scheme != "https":
            proxy = typing.cast(Url, self.proxy)
            host, port, scheme = proxy.host, proxy.port, proxy.scheme
        return super().connection_from_host(host, port, scheme, pool_kwargs=pool_kwargs)

    def _set_proxy_headers(
        self, url: str, headers: typing.Mapping[str, str] | None = None
    ) -> typing.Mapping[str, str]:
        """`headers` with Accept and Host in front, which a forwarding proxy wants."""
        merged = {"Accept": "*/*"}
        netloc = parse_url(url).netloc
        if netloc:
            merged["Host"] = netloc
        if headers:
            merged.update(headers)
        return merged

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **kw: typing.Any
    ) -> BaseHTTPResponse:
        """As PoolManager.urlopen, through the proxy."""
        self._add_proxy_headers(url, kw)
        return super().urlopen(method, url, redirect=redirect, **kw)

    def _add_proxy_headers(self, url: str, kw: dict[str, typing.Any]) -> None:
        scheme = parse_url(url).scheme
        if not connection_requires_http_tunnel(self.proxy, self.proxy_config, scheme):
            kw["headers"] = self._set_proxy_headers(url, kw.get("headers", self.headers))


def proxy_from_url(url: str, **kw: typing.Any) -> ProxyManager:
    """ProxyManager(proxy_url=url, **kw)."""
    return ProxyManager(proxy_url=url, **kw)
