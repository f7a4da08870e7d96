"""RequestMethods: request() and its two forms, on top of somebody's urlopen()."""

from __future__ import annotations

import typing
from urllib.parse import urlencode

from ._base_connection import _TYPE_BODY
from ._collections import HTTPHeaderDict
from ._fastpool import bind_methods, bind_request, not_given, send
from .filepost import _TYPE_FIELDS, encode_multipart_formdata
from .response import BaseHTTPResponse

__all__ = ["RequestMethods"]

_TYPE_ENCODE_URL_FIELDS = (
    typing.Sequence[tuple[str, str | bytes]] | typing.Mapping[str, str | bytes]
)

class RequestMethods:
    """Base of PoolManager and the pools; ``headers`` are those of every request."""

    _encode_url_methods: typing.ClassVar[set[str]] = {"DELETE", "GET", "HEAD", "OPTIONS"}

    def __init__(self, headers: typing.Mapping[str, str] | None = None) -> None:
        self.headers = headers or {}

    def urlopen(
        self,
        method: str,
        url: str,
        body: _TYPE_BODY | None = None,
        headers: typing.Mapping[str, str] | None = None,
        encode_multipart: bool = True,
        multipart_boundary: str | None = None,
        **kw: typing.Any,
    ) -> BaseHTTPResponse:
        """One request; subclasses implement it."""
        raise NotImplementedError(
            "Classes extending RequestMethods must implement their own ``urlopen`` method."
        )

    def request(
        self,
        method: str,
        url: str,
        body: _TYPE_BODY | None = None,
        fields: _TYPE_FIELDS | None = None,
        headers: typing.Mapping[str, str] | None = None,
        json: typing.Any | None = None,
        *,
        timeout: typing.Any = not_given,
        **urlopen_kw: typing.Any,
    ) -> BaseHTTPResponse:
        """Send a request with one of ``body``, ``fields`` or ``json``.

        ``fields`` go into the URL for DELETE, GET, HEAD and OPTIONS, else into the body.
        Keywords are urlopen()'s. TypeError when more than one of the three is given.
        ``timeout`` has a name here because CPython takes a microsecond to collect it.
        """
        return send(self, method, url, body, fields, headers, json, timeout, urlopen_kw)

    def request_encode_url(
        self,
        method: str,
        url: str,
        fields: _TYPE_ENCODE_URL_FIELDS | None = None,
        headers: typing.Mapping[str, str] | None = None,
        **urlopen_kw: str,
    ) -> BaseHTTPResponse:
        """Send a request whose ``fields`` become the URL's query."""
        extra_kw: dict[str, typing.Any] = {"headers": self.headers if headers is None else headers}
        extra_kw.update(urlopen_kw)
        if fields:
            url += "?" + urlencode(fields)
        return self.urlopen(method, url, **extra_kw)

    def request_encode_body(
        self,
        method: str,
        url: str,
        fields: _TYPE_FIELDS | None = None,
        headers: typing.Mapping[str, str] | None = None,
        encode_multipart: bool = True,
        multipart_boundary: str | None = None,
        **urlopen_kw: str,
    ) -> BaseHTTPResponse:
        """Send a request whose ``fields`` become its body.

        multipart/form-data, or application/x-www-form-urlencoded without ``encode_multipart``.
        A Content-Type in ``headers`` stays as it is. TypeError for fields together with a body.
        """
        sent = HTTPHeaderDict(self.headers if headers is None else headers)
        extra_kw: dict[str, typing.Any] = {"headers": sent}
        if fields:
            if "body" in urlopen_kw:
                raise TypeError(
                    "request got values for both 'fields' and 'body', can only specify one."
                )
            body: bytes | str
            if encode_multipart:
                body, content_type = encode_multipart_formdata(fields, boundary=multipart_boundary)
            else:
                body = urlencode(fields)  # type: ignore[arg-type]
                content_type = "application/x-www-form-urlencoded"
            extra_kw["body"] = body
            sent.setdefault("Content-Type", content_type)
        extra_kw.update(urlopen_kw)
        return self.urlopen(method, url, **extra_kw)


def _with_json(
    sender: RequestMethods,
    body: _TYPE_BODY | None,
    headers: typing.Mapping[str, str] | None,
    value: typing.Any,
) -> tuple[typing.Mapping[str, str], bytes]:
    """The headers and the body of a request for `value`; the caller's mapping stays as it is."""
    import json

    if body is not None:
        raise TypeError(
            "request got values for both 'body' and 'json' parameters which are mutually exclusive"
        )
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    given = sender.headers if headers is None else headers
    sent = HTTPHeaderDict(given)
    if "content-type" in sent:
        return given, text.encode("utf-8")
    sent["Content-Type"] = "application/json"
    return sent, text.encode("utf-8")


def _with_fields(
    sender: RequestMethods,
    request: tuple[str, str],
    fields: _TYPE_FIELDS,
    headers: typing.Mapping[str, str] | None,
    urlopen_kw: dict[str, typing.Any],
) -> BaseHTTPResponse:
    """Send a request() that has fields; `request` is (method in capitals, URL)."""
    encode: typing.Callable[..., BaseHTTPResponse] = sender.request_encode_body
    if request[0] in sender._encode_url_methods:
        encode = sender.request_encode_url
    return encode(*request, fields=fields, headers=headers, **urlopen_kw)


bind_request(_with_json, _with_fields)
bind_methods("request", RequestMethods.request)

# Unless somebody replaced them there is nothing for them to do without fields.
bind_methods(
    "encoding",
    RequestMethods.request_encode_url,
    RequestMethods.request_encode_body,
    _encode_url_methods=RequestMethods._encode_url_methods,
)
