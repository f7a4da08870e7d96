"""`Request`: what the input of a bulk run gives, one value per request."""

from __future__ import annotations

import typing

from .._fastpool import RequestFields
from ..util.timeout import _DEFAULT_TIMEOUT, _TYPE_TIMEOUT

if typing.TYPE_CHECKING:
    from .._base_connection import _TYPE_BODY
    from ..filepost import _TYPE_FIELDS
    from ..util.retry import Retry


class Request(RequestFields):
    """One request for `PoolManager.imap_unordered`, with the parameters of `request()`.

    What is not given is the run's: `timeout` (seconds or `Timeout`), `retries`, `redirect`,
    `headers`.  `meta` is anything of yours; it comes back in `Result.request`.
    """

    __slots__ = ()

    #: `timeout` of a request that was given none; None would be "no limit".
    NO_TIMEOUT: typing.ClassVar[_TYPE_TIMEOUT] = _DEFAULT_TIMEOUT

    def __init__(
        self,
        method: str,
        url: str,
        *,
        headers: typing.Mapping[str, str] | None = None,
        body: _TYPE_BODY | None = None,
        fields: _TYPE_FIELDS | None = None,
        json: typing.Any | None = None,
        timeout: _TYPE_TIMEOUT = _DEFAULT_TIMEOUT,
        retries: Retry | bool | int | None = None,
        redirect: bool | None = None,
        meta: typing.Any = None,
    ) -> None:
        self.method = method.upper()
        self.url = url
        self.headers = headers
        self.body = body
        self.fields = fields
        self.json = json
        self.timeout = timeout
        self.retries = retries
        self.redirect = redirect
        self.meta = meta

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.url}>"

    def keywords(self, defaults: typing.Mapping[str, typing.Any]) -> dict[str, typing.Any]:
        """The keywords for `request()`: the run's defaults with what this one gives on top."""
        kw = dict(defaults)
        own: dict[str, typing.Any]
        own = {"headers": self.headers, "retries": self.retries, "redirect": self.redirect}
        body = {"body": self.body, "fields": self.fields, "json": self.json}
        if any(value is not None for value in body.values()):
            kw = {name: value for name, value in kw.items() if name not in body}
            own.update(body)
        kw.update((name, value) for name, value in own.items() if value is not None)
        if self.timeout is not _DEFAULT_TIMEOUT:
            kw["timeout"] = self.timeout
        return kw


def as_request(item: typing.Any) -> Request:
    """What the input gave as a Request; TypeError when it is none of the three forms."""
    if isinstance(item, Request):
        return item
    if isinstance(item, str):
        return Request("GET", item)
    if isinstance(item, tuple) and len(item) == 2 and all(isinstance(x, str) for x in item):
        return Request(*item)
    raise TypeError(f"a request is a URL, a (method, url) pair or a pool.Request, not {item!r}")
