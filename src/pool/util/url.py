"""URLs after RFC 3986: parse_url() and its result, Url. Linear time for any input."""

from __future__ import annotations

import re
import typing
from functools import partial

from ..exceptions import LocationParseError
from .util import to_str

# Only for these (and when no scheme is given) is a URL brought into normal form.
_NORMALIZABLE_SCHEMES = ("http", "https", None)

# yt-dlp puts an object of its own here: always looked up when used.
_PERCENT_RE = re.compile(r"%[a-fA-F0-9]{2}")
# A "." ends the search: "example.com:80" has no scheme.
_SCHEME_RE = re.compile(r"^(?:[a-zA-Z][a-zA-Z0-9+-]*:|/)")
# RFC 3986 appendix B, with "\" as an end of the authority, as browsers have it.
_URI_RE = re.compile(
    r"^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?"
    r"(?://([^\\/?#]*))?"
    r"([^?#]*)"
    r"(?:\?([^#]*))?"
    r"(?:#(.*))?$",
    re.DOTALL,
)
_TARGET_RE = re.compile(r"^(/[^?#]*)(?:\?([^#]*))?(?:#.*)?$")

# RFC 3986 3.2.2.
_HEX_PAT = "[0-9A-Fa-f]{1,4}"
_IPV4_PAT = r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
_LS32_PAT = f"(?:{_HEX_PAT}:{_HEX_PAT}|{_IPV4_PAT})"


def _ipv6_pattern() -> str:
    group = f"(?:{_HEX_PAT}:)"
    # "::" stands for at least one group: with n + 1 before it, at most 6 - n follow.
    heads = ["", f"{group}?", *(f"{group}{{0,{n}}}" for n in range(2, 7))]
    tails = [f"{group}{{{n}}}{_LS32_PAT}" for n in (4, 3, 2)]
    tails += [f"{_HEX_PAT}:{_LS32_PAT}", _LS32_PAT, _HEX_PAT, ""]
    forms = [f"{group}{{6}}{_LS32_PAT}", f"::{group}{{5}}{_LS32_PAT}"]
    for head, tail in zip(heads, tails, strict=True):
        forms.append(f"(?:{head}{_HEX_PAT})?::{tail}")
    return "(?:" + "|".join(forms) + ")"


_IPV6_PAT = _ipv6_pattern()
_UNRESERVED_PAT = r"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._\-~"
_ZONE_ID_PAT = "(?:%25|%)(?:[" + _UNRESERVED_PAT + "]|%[a-fA-F0-9]{2})+"
_IPV6_ADDRZ_PAT = r"\[" + _IPV6_PAT + r"(?:" + _ZONE_ID_PAT + r")?\]"
_REG_NAME_PAT = r"(?:[^\[\]%:/?#]|%[a-fA-F0-9]{2})*"

# inet_aton()'s forms: 1 to 4 parts, decimal, octal or hexadecimal.
_IPV4_PART_PAT = "(?:0[xX][0-9a-fA-F]+|[0-9]+)"
_IPV4_RE = re.compile(rf"^{_IPV4_PART_PAT}(?:\.{_IPV4_PART_PAT}){{0,3}}$")
_ZONE_ID_RE = re.compile("(" + _ZONE_ID_PAT + r")\]$")

_PORT_PAT = "(?::0*?(|0|[1-9][0-9]{0,4}))?$"
_HOST_PORT_PAT = f"^({_REG_NAME_PAT}|{_IPV4_PAT}|{_IPV6_ADDRZ_PAT})" + _PORT_PAT
# The same without brackets.
_NAME_PORT_RE = re.compile(f"^({_REG_NAME_PAT})" + _PORT_PAT, re.DOTALL)
_HOST_INVALID_CHAR_RE = re.compile(r"[\x00-\x20\x7f]")
_HOST_PERCENT_RE = re.compile("%[a-fA-F0-9]{2}|%")

# RFC 3986 2.2, 2.3 and appendix A.
_UNRESERVED_CHARS = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-~")
_SUB_DELIM_CHARS = set("!$&'()*+,;=")
_USERINFO_CHARS = _UNRESERVED_CHARS | _SUB_DELIM_CHARS | {":"}
_PATH_CHARS = _USERINFO_CHARS | {"@", "/"}
_QUERY_CHARS = _FRAGMENT_CHARS = _PATH_CHARS | {"?"}

# What most URLs look like: nothing to normalise, nothing to look into. Whatever does not
# match takes the long way, so this only has to be right about what it accepts. "/." is
# excluded because it may begin a dot segment, and port digits are as str(int) gives them.
_PLAIN_URL_RE = re.compile(
    r"(https?)://"
    r"([a-z0-9][a-z0-9._\-]*)"
    r"(?::(0|[1-5][0-9]{0,4}|[6-9][0-9]{0,3}))?"
    r"((?:/(?!\.)[A-Za-z0-9._~!$&'()*+,;=:@\-]*)*)"
    r"(?:\?([A-Za-z0-9._~!$&'()*+,;=:@/?\-]*))?"
)
# The same for a request target, where dot segments stay.
_PLAIN_TARGET_RE = re.compile(
    r"/[A-Za-z0-9._~!$&'()*+,;=:@/\-]*"
    r"(?:\?[A-Za-z0-9._~!$&'()*+,;=:@/?\-]*)?"
)


# Each takes milliseconds to compile, and few programs meet an IPv6 address.
_LAZY_PATTERNS = {
    "_IPV6_RE": f"^{_IPV6_PAT}$",
    "_IPV6_ADDRZ_RE": f"^{_IPV6_ADDRZ_PAT}$",
    "_BRACELESS_IPV6_ADDRZ_RE": f"^{_IPV6_PAT}(?:{_ZONE_ID_PAT})?$",
    "_HOST_PORT_RE": _HOST_PORT_PAT,
}


def __getattr__(name: str) -> re.Pattern[str]:
    if name not in _LAZY_PATTERNS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    flags = re.DOTALL if name == "_HOST_PORT_RE" else 0
    compiled = globals()[name] = re.compile(_LAZY_PATTERNS[name], flags)
    return compiled


def _pattern(name: str) -> re.Pattern[str]:
    return globals().get(name) or __getattr__(name)


class Url(
    typing.NamedTuple(
        "Url",
        [
            ("scheme", str | None),
            ("auth", str | None),
            ("host", str | None),
            ("port", int | None),
            ("path", str | None),
            ("query", str | None),
            ("fragment", str | None),
        ],
    )
):
    """The parts of a URL; a part that is not there is None. The scheme is in lower case."""

    def __new__(  # type: ignore[no-untyped-def]  # as urllib3 has it
        cls,
        scheme: str | None = None,
        auth: str | None = None,
        host: str | None = None,
        port: int | None = None,
        path: str | None = None,
        query: str | None = None,
        fragment: str | None = None,
    ):
        rooted = path if not path or path.startswith("/") else f"/{path}"
        lowered = scheme and scheme.lower()
        return super().__new__(cls, lowered, auth, host, port, rooted, query, fragment)

    @property
    def auth_decoded(self) -> tuple[None, None] | tuple[str, str | None]:
        """User and password without percent-encoding; the password is None without a colon."""
        if self.auth is None:
            return None, None
        user, colon, password = self.auth.partition(":")
        return _unquote(user), _unquote(password) if colon else None

    @property
    def auth_decoded_joined(self) -> str | None:
        """``"user:password"`` as Basic authentication wants it, or None."""
        user, password = self.auth_decoded
        # RFC 7617 2: the colon is always there.
        return None if user is None else f"{user}:{password or ''}"

    @property
    def hostname(self) -> str | None:
        """The host, under urllib.parse's name."""
        return self.host

    @property
    def request_uri(self) -> str:
        """Path and query: the target of a request."""
        path = self.path or "/"
        return path if self.query is None else f"{path}?{self.query}"

    @property
    def authority(self) -> str | None:
        """``auth@host:port`` as far as it is there."""
        netloc = self.netloc
        if netloc is None or self.auth is None:
            return netloc
        return f"{self.auth}@{netloc}"

    @property
    def netloc(self) -> str | None:
        """``host:port`` as far as it is there."""
        if self.host is None or self.port is None:
            return self.host
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL again; parts that mean nothing (a colon without a port) are gone."""
        scheme, auth, host, port, path, query, fragment = self
        parts = [
            "" if scheme is None else f"{scheme}://",
            "" if auth is None else f"{auth}@",
            "" if host is None else host,
            "" if port is None else f":{port}",
            "" if path is None else path,
            "" if query is None else f"?{query}",
            "" if fragment is None else f"#{fragment}",
        ]
        return "".join(parts)

    def __str__(self) -> str:
        return self.url


def parse_url(url: str) -> Url:
    """Split a URL and, for http(s) or no scheme, bring it into normal form.

    Hosts become lower case and IDNA, dot segments are resolved, and what a URL may not contain
    is percent-encoded. ``"host/path"`` without a scheme is fine. Raises LocationParseError.
    """
    if not url:
        return Url()
    plain = _PLAIN_URL_RE.fullmatch(url)
    if plain is not None:
        scheme, host, digits, path, query = plain.groups()
        if not path and query is None:
            path = None
        port = None if digits is None else int(digits)
        return tuple.__new__(Url, (scheme, None, host, port, path, query, None))
    return _parse_any(url)


def _parse_any(url: str) -> Url:
    if not _SCHEME_RE.search(url):
        url = "//" + url
    parts = _URI_RE.match(url)  # every text matches
    scheme, authority, path, query, fragment = parts.groups()  # type: ignore[union-attr]
    normalize = scheme is None or scheme.lower() in _NORMALIZABLE_SCHEMES
    if scheme:
        scheme = scheme.lower()
    auth = host = port = None
    if authority:
        auth, host, port = _split_authority(authority, url, normalize)
    host = _normalize_host(host, scheme)
    if normalize:
        if path:
            path = _encode_invalid_chars(_remove_path_dot_segments(path), _PATH_CHARS)
        if query:
            query = _encode_invalid_chars(query, _QUERY_CHARS)
        if fragment:
            fragment = _encode_invalid_chars(fragment, _FRAGMENT_CHARS)
    # Without a path there is none; an empty one before "?" or "#" is an empty one.
    if not path:
        path = None if query is None and fragment is None else ""
    return Url(scheme, auth, host, port, path, query, fragment)


def _split_authority(
    authority: str, url: str, normalize: bool
) -> tuple[str | None, str | None, int | None]:
    # The last "@" counts: those before it belong to the credentials.
    auth, _, host_port = authority.rpartition("@")
    in_brackets = host_port.startswith("[")
    pattern = _pattern("_HOST_PORT_RE") if in_brackets else _NAME_PORT_RE
    match = pattern.fullmatch(host_port)
    if match is None:
        raise _bad_authority(host_port)
    host, digits = match.groups()
    port = int(digits) if digits else None
    if port is not None and port > 65535:
        raise _refused(url, "RFC 9110 4.2: a port is at most 65535")
    if auth and normalize:
        auth = _encode_invalid_chars(auth, _USERINFO_CHARS)
    return auth or None, host, port


def _unquote(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text)


def _refused(what: str, rule: str, hint: str | None = None) -> LocationParseError:
    error = LocationParseError(what)
    error.rule = rule
    if hint is not None:
        error.hint = hint
    return error


@typing.overload
def _encode_invalid_chars(component: str, allowed_chars: typing.Container[str]) -> str: ...


@typing.overload
def _encode_invalid_chars(component: None, allowed_chars: typing.Container[str]) -> None: ...


def _encode_invalid_chars(
    component: str | None, allowed_chars: typing.Container[str]
) -> str | None:
    """Percent-encode, as UTF-8, what is not allowed; what is encoded already stays so."""
    if component is None:
        return None
    component = to_str(component)
    encoded = 0
    if "%" in component:
        component, encoded = _PERCENT_RE.subn(lambda match: match[0].upper(), component)
    refused = {char for char in set(component) if not (char.isascii() and char in allowed_chars)}
    # One bare "%" shows that the text is not encoded yet, so then every "%" is a character.
    if "%" in refused and encoded == component.count("%"):
        refused.remove("%")
    if not refused:
        return component
    octets = {char: _percent_encode(char) for char in refused}
    # str.translate() would grow its result one replacement at a time: quadratic wherever
    # realloc() moves.
    return "".join([octets.get(char, char) for char in component])


def _percent_encode(char: str) -> str:
    return "".join(f"%{octet:02X}" for octet in char.encode("utf-8", "surrogatepass"))


def _remove_path_dot_segments(path: str) -> str:
    """RFC 3986 5.2.4."""
    if "/." not in path and not path.startswith("."):
        return path
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    # ".." may have taken the empty segment before the first "/".
    if path.startswith("/") and (not kept or kept[0]):
        kept.insert(0, "")
    # A dot segment at the end names a directory.
    if path.endswith(("/.", "/..")):
        kept.append("")
    return "/".join(kept)


@typing.overload
def _normalize_host(host: None, scheme: str | None) -> None: ...


@typing.overload
def _normalize_host(host: str, scheme: str | None) -> str: ...


def _normalize_host(host: str | None, scheme: str | None) -> str | None:
    if not host:
        return host
    _refuse_control_chars(host)
    if scheme not in _NORMALIZABLE_SCHEMES or _IPV4_RE.match(host):
        return host
    if host.startswith("[") and _pattern("_IPV6_ADDRZ_RE").match(host):
        return _normalize_ipv6(host)
    if "%" in host:
        host = _HOST_PERCENT_RE.sub(_normalize_host_percent_encoding, host)
    return b".".join(_idna_encode(label) for label in host.split(".")).decode("ascii")


def _normalize_ipv6(host: str) -> str:
    zone = _ZONE_ID_RE.search(host)
    if zone is None:
        return host.lower()
    # RFC 6874: "%25" or a bare "%" before the zone; getaddrinfo() wants the bare one.
    start, end = zone.span(1)
    zone_id = zone[1]
    zone_id = zone_id[3:] if zone_id.startswith("%25") and zone_id != "%25" else zone_id[1:]
    zone_id = _PERCENT_RE.sub(
        partial(_normalize_zone_id_percent_encoding, error_host=host), zone_id
    )
    zone_id = _encode_invalid_chars(zone_id, _UNRESERVED_CHARS)
    return f"{host[:start].lower()}%{zone_id}{host[end:]}"


def _bad_authority(host_port: str) -> LocationParseError:
    _refuse_control_chars(host_port)
    return _refused(
        f"{host_port!r} is not a valid host or port",
        "RFC 3986 3.2",
        "An IPv6 address needs brackets, a port is a number; encode other characters.",
    )


def _refuse_control_chars(host: str) -> None:
    bad = _HOST_INVALID_CHAR_RE.search(host)
    if bad:
        raise _refused(
            f"Host {host!r} contains invalid character {bad.group()!r}",
            "RFC 3986 3.2.2: no control characters or spaces in a host",
        )


def _decode_percent_encoding(match: re.Match[str], *, error_host: str) -> str:
    octet = chr(int(match[0][1:], 16))
    # "%20" is valid here, and stays encoded.
    if octet < " " or octet == "\x7f":
        raise _refused(
            f"Host {error_host!r} contains invalid percent-encoded control character {match[0]!r}",
            "RFC 3986 3.2.2: no control characters in a host",
        )
    return octet


def _normalize_host_percent_encoding(match: re.Match[str]) -> str:
    if match[0] == "%":
        raise _refused(f"{match.string!r} is not a valid host", "RFC 3986 2.1")
    octet = _decode_percent_encoding(match, error_host=match.string)
    return octet if octet in _UNRESERVED_CHARS else match[0].upper()


def _normalize_zone_id_percent_encoding(match: re.Match[str], *, error_host: str) -> str:
    _decode_percent_encoding(match, error_host=error_host)
    return match[0].upper()


def _idna_encode(name: str) -> bytes:
    lowered = name.lower()
    if name.isascii():
        return _PERCENT_RE.sub(lambda match: match[0].upper(), lowered).encode("ascii")
    try:
        import idna
    except ImportError:
        raise _refused(
            "Unable to parse URL without the 'idna' module",
            "RFC 5890",
            "Install the package 'idna' or write the host in its xn-- form.",
        ) from None
    try:
        return idna.encode(lowered, std3_rules=True, strict=True)
    except idna.IDNAError:
        raise _refused(f"Name '{name}' is not a valid IDNA label", "RFC 5891") from None


def _encode_target(target: str) -> str:
    """Percent-encode what a request target may not contain; it begins with "/"."""
    if _PLAIN_TARGET_RE.fullmatch(target):
        return target
    match = _TARGET_RE.match(target)
    if not match:
        raise _refused(f"{target!r} is not a valid request URI", "RFC 9112 3.2")
    path, query = match.groups()
    encoded = _encode_invalid_chars(path, _PATH_CHARS)
    if query is None:
        return encoded
    return f"{encoded}?{_encode_invalid_chars(query, _QUERY_CHARS)}"
