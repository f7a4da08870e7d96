"""Target `url`: any text as a URL, and as a request target (needs the package atheris).

    python -m tests.fuzz.url [libFuzzer's options] CORPUS

Refused with LocationParseError or brought into a form that means the same to everybody: RFC
3986's own way of splitting finds the same parts in it, nothing in it can end a line, and
parsing it again changes nothing.  The short cut for plain URLs agrees with the long way.
FASTPOOL_FUZZ_PEER=1 compares with urllib3's parser as well.
"""

from __future__ import annotations

import os
import re
import string
import sys

import atheris

with atheris.instrument_imports(include=["pool.util.url"], enable_loader_override=False):
    from pool.util import url as url_module

from pool.exceptions import LocationParseError

PEER = os.environ.get("FASTPOOL_FUZZ_PEER") == "1"

# RFC 3986, appendix B and appendix A.
SPLIT = re.compile(r"^(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$", re.DOTALL)
UNRESERVED = string.ascii_letters + string.digits + "-._~"
PCHAR = UNRESERVED + "!$&'()*+,;=" + ":@" + "%"
ALLOWED = {"path": PCHAR + "/", "query": PCHAR + "/?", "fragment": PCHAR + "/?"}
WEB = ("http", "https", None)


class Broken(AssertionError):
    """An invariant does not hold."""


def require(truth: object, what: str) -> None:
    if not truth:
        raise Broken(what)


def normal_form(url: url_module.Url) -> None:
    """What a URL of the web looks like after parsing."""
    for name, allowed in ALLOWED.items():
        part = getattr(url, name)
        require(part is None or not part.strip(allowed), f"{name} has other characters")
    require(url.port is None or 0 <= url.port <= 65535, "port")
    require(not url.path or url.path.startswith("/"), "path begins with /")
    segments = (url.path or "").split("/")
    require("." not in segments and ".." not in segments, "dot segments are resolved")
    if url.host:
        require(not re.search(r"[\x00-\x20\x7f/?#@\\]", url.host), "host has other characters")
        require(url.host.isascii(), "host is ASCII")
        number = url_module._IPV4_RE.match(url.host)  # 0X7F.1 stays as it is
        require(number or "%" in url.host or url.host == url.host.lower(), "lower case")
    require(not url.auth or not re.search(r"[^!-~]|[/?#@\[\]]", url.auth), "credentials")
    target = url.request_uri
    require(not re.search(r"[^!-~]", target), "request target is visible ASCII")
    url_module._encode_target(target)


def means_the_same(url: url_module.Url) -> None:
    """Split as RFC 3986 does, the URL has the same parts, and so has it parsed again."""
    match = SPLIT.match(url.url)
    assert match is not None
    require(match.groups() == (url.scheme, url.authority, url.path or "", *url[5:]), "same parts")
    # The zone of an address loses a "%25" at its front each time, here as in urllib3.
    loses = "[" in (url.host or "") and "%25" in url.host
    require(loses or url_module.parse_url(url.url) == url, "parsed again")


def both_ways(text: str, url: url_module.Url) -> None:
    require(url_module._parse_any(text) == url, "the short cut agrees with the long way")


def as_peer(text: str, url: url_module.Url | None) -> None:
    from urllib3.exceptions import LocationParseError as PeerError
    from urllib3.util.url import parse_url

    try:
        theirs = parse_url(text)
    except PeerError:
        theirs = None
    ours = None if url is None else tuple(url)
    if ours != (None if theirs is None else tuple(theirs)):
        raise Broken(f"{text!r}: {ours} here, {theirs} at urllib3")


def target_of(text: str) -> None:
    """The same text as the target of a request to a pool."""
    try:
        encoded = url_module._encode_target(text)
    except LocationParseError:
        return
    require(not re.search(r"[^!-~]", encoded), "request target is visible ASCII")


def check(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape" if len(data) % 2 else "replace")
    url = None
    try:
        url = url_module.parse_url(text)
    except LocationParseError:
        pass
    else:
        if text:
            both_ways(text, url)
        if url.scheme in WEB:
            normal_form(url)
            if url.scheme and url.host:  # else it cannot be requested
                means_the_same(url)
    if PEER:
        as_peer(text, url)
    target_of("/" + text)


def main() -> None:
    # libFuzzer's way to start itself again when it merges.
    sys.argv[0] = f"{sys.executable} -m tests.fuzz.url"
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
