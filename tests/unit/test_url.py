"""util.url: parse_url and Url, also against urllib3's."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pool._fastpool import plain_url
from tests.support import implementations

Part = Callable[[str], ModuleType]

WORDS = r"""http https HTTP ftp + :// : / // @ ? # [ ] % %25 %2f %41 %zz %0d %00 a Z .com
example.com Ex.COM . .. /. /.. /./ /../ \ é 例え ß ❤ xn--a 80 0 00080 65535 65536 59999 60000
- _ ~ ! ' ( * & = ; , | ^ " < 0x7f 0X7F 127.0.0.1 1.2.3 ::1 [::1] [fe80::1%25eth0] [FE80::1%en0]
[::ffff:1.2.3.4] user:pw@"""
PIECES = st.sampled_from([*WORDS.split(), *" \n\r\t\x7f\x00\ud800", "x" * 70])
STARTS = st.sampled_from(
    ["http://", "https://h", "http://example.com", "http://h:8080/", "", "//", "/", "ftp://"]
)
URLS = st.one_of(
    st.builds(lambda start, rest: start + "".join(rest), STARTS, st.lists(PIECES, max_size=7)),
    st.text(max_size=30),
)


def outcome(module: Any, function: str, url: str) -> Any:
    try:
        result = getattr(module, function)(url)
    except Exception as error:
        return type(error).__name__, str(error)
    if function != "parse_url":
        return result
    return (
        tuple(result), result.url, result.request_uri, result.authority, result.netloc,
        result.auth_decoded, result.auth_decoded_joined,
    )  # fmt: skip


def compare(function: str, url: str) -> None:
    theirs, ours = (
        outcome(implementations.load(name).util.url, function, url)
        for name in implementations.NAMES
    )
    assert ours == theirs


@given(URLS)
@example("http://h:99999")
@example("h:99999")
@example("http://h:60000/a")
@example("http://h/.a")
@example("http://h/a/.")
@example("http://h?")
@example("http://h/?")
@example("http://h/a\n")
@example("http://[::%2525%2F0]/%41")
@example("http://h//a//b")
@example("http://user@domain.com:password@example.com/~tilde@?@")
def test_parse_url_gives_what_urllib3_gives(url: str) -> None:
    compare("parse_url", url)


@given(URLS.map(lambda url: "/" + url))
@example("/a/../b?c")
@example("/a%zz")
@example("/a#b")
def test_encoded_target_is_what_urllib3_makes(url: str) -> None:
    compare("_encode_target", url)


@given(URLS)
def test_short_way_and_long_way_agree(url: str) -> None:
    module = implementations.load("pool").util.url
    if module._PLAIN_URL_RE.fullmatch(url):
        assert tuple(module.parse_url(url)) == tuple(module._parse_any(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com", "https://example.com/", "http://127.0.0.1:51234/a/b?c=d&e",
        "http://a.b-c_d.example:80/~x/y.z;p=1,2?q=http://other:1/?x", "https://h?x",
    ],
)  # fmt: skip
def test_usual_urls_take_the_short_way(subject: ModuleType, url: str) -> None:
    module = subject.util.url
    assert module._PLAIN_URL_RE.fullmatch(url)
    parsed = module.parse_url(url)
    assert type(parsed) is module.Url
    assert parsed.url == url


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTP://GOOGLE.COM/MAIL/", "http://google.com/MAIL/"),
        ("http://us@er:pw@h/", "http://us%40er:pw@h/"),
        ("http://h/a/../b/./c/..", "http://h/b/"),
        ("http://h/../../a", "http://h/a"),
        ('http://h/p[]?q[]="x"#f#', "http://h/p%5B%5D?q%5B%5D=%22x%22#f%23"),
        ("http://h/%5b%5D", "http://h/%5B%5D"),
        ("http://h/%5b%", "http://h/%255B%25"),
        ("http://h/a b\r\nX: y", "http://h/a%20b%0D%0AX:%20y"),
        ("http://Königsgäßchen.de/straße", "http://xn--knigsgchen-b4a3dun.de/stra%C3%9Fe"),
        ("http://%65x%2Ecom/", "http://ex.com/"),
        ("http://[FE80::1%25en0]:80/", "http://[fe80::1%en0]:80/"),
        ("https://u:p@h\\evil.com:80/", "https://u:p@h/%5Cevil.com:80/"),
        ("http://h:00080/", "http://h:80/"),
        ("http://h:/", "http://h/"),
        ("http://h:0/", "http://h:0/"),
        ("abOut://eXamPlE.com?i=[1]", "about://eXamPlE.com?i=[1]"),
        ("http+UNIX://%2fvar%2frun/p", "http+unix://%2fvar%2frun/p"),
        ("google.com/a", "google.com/a"),
        ("", ""),
    ],
)
def test_normal_form(part: Part, url: str, normal: str) -> None:
    assert part("util").parse_url(url).url == normal


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://google.com:foo", "'google.com:foo' is not a valid host or port"),
        ("http://::1/", "'::1' is not a valid host or port"),
        ("[::1", r"'\[::1' is not a valid"),
        ("http://h:-80", "'h:-80'"),
        ("http://h:65536", "Failed to parse: http://h:65536"),
        ("http://h:\xb2", "not a valid host or port"),
        ("http://a b/", "contains invalid character ' '"),
        ("http://a\r\nX: y/", r"contains invalid character '\\r'"),
        ("gopher://a\x00/", r"contains invalid character '\\x00'"),
        ("http://foo%zz.example/", "not a valid host"),
        ("http://%00.example/", "invalid percent-encoded control character '%00'"),
        ("http://[::1%25%0d%0a]/", "invalid percent-encoded control character '%0d'"),
        ("http://❤️", "not a valid IDNA label"),
        ("http://\ud800.com", "not a valid IDNA label"),
        ("https://" + "@" * 10000 + "[", "not a valid host or port"),
    ],
)
def test_refused(part: Part, url: str, message: str) -> None:
    with pytest.raises(part("exceptions").LocationParseError, match=message):
        part("util").parse_url(url)


def test_refusals_name_the_rule(subject: ModuleType) -> None:
    for url, rule in [("http://h:x", "RFC 3986 3.2"), ("http://h:65536", "RFC 9110 4.2")]:
        with pytest.raises(subject.exceptions.LocationParseError) as caught:
            subject.util.parse_url(url)
        assert caught.value.rule.startswith(rule)


@pytest.mark.parametrize("url", [b"http://h/", 3, ["http://h/"]])
def test_only_text_is_a_url(part: Part, url: Any) -> None:
    with pytest.raises(TypeError):
        part("util").parse_url(url)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "http://" + "@" * n,
        lambda n: "http://user:" + "@" * n + "h",
        lambda n: "http://h/" + "%41%" * n,
        lambda n: "http://h/" + "../" * n,
        lambda n: "http://h" + "/a" * n,
        lambda n: "http://h:" + "0" * n,
        lambda n: "http://h:" + "0" * n + "x",
        lambda n: "http://[" + "::" * n,
        lambda n: "a" * n + ":",
        lambda n: "http://" + "a." * n,
        lambda n: "http://h/?" + "?" * n + "\n",
    ],
)
def test_time_is_linear(subject: ModuleType, make: Callable[[int], str]) -> None:
    def seconds(size: int) -> float:
        best = 99.0
        for _ in range(4):
            start = time.process_time()
            with contextlib.suppress(subject.exceptions.LocationParseError):
                subject.util.parse_url(make(size))
            best = min(best, time.process_time() - start)
        return best

    # Linear is 64 times as much, quadratic 4096 times; the floor is for tiny times.
    assert seconds(256_000) < 600 * max(seconds(4_000), 0.0002)


def test_percent_pattern_can_be_replaced(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """yt-dlp puts an object in its place whose subn() does not change the text."""

    class Untouched:
        def __init__(self, pattern: re.Pattern[str]) -> None:
            self.pattern = pattern

        def __getattr__(self, name: str) -> Any:
            return getattr(self.pattern, name)

        def subn(self, repl: Any, string: str) -> tuple[str, int]:
            return string, self.pattern.subn(repl, string)[1]

    module = part("util.url")
    monkeypatch.setattr(module, "_PERCENT_RE", Untouched(module._PERCENT_RE))
    assert module.parse_url("http://h/%2f é").url == "http://h/%2f%20%C3%A9"
    assert module._encode_target("/%2f?%2f") == "/%2f?%2f"


def test_url_is_a_tuple_with_defaults(part: Part) -> None:
    Url = part("util").Url
    url = Url("HTTP", host="h", path="a")
    assert url == ("http", None, "h", None, "/a", None, None)
    assert str(url) == "http://h/a"
    assert (url.hostname, url.port, url.request_uri) == ("h", None, "/a")
    assert (Url().netloc, Url().authority, Url().auth_decoded) == (None, None, (None, None))
    assert Url(auth="a%3Ab:c%40").auth_decoded == ("a:b", "c@")
    assert url._replace(query="").url == "http://h/a?"


ORIGIN_WORDS = """http://h https://example.com:8443 http://127.0.0.1:80 http://h:00080 http://h:65536
http://a_b- http://H http://h. http://1.2.3 HTTP://h http://h: http://u@h http://[::1]:80 ftp://h"""
TARGET_WORDS = r"""/ // . .. a Z0 %2F %2f %C3%A9 %2E %zz % %4 ? = & : @ ; ~ ! $ ' ( ) * + , # [ ] |
^ " \ é"""
ORIGINS = st.sampled_from(ORIGIN_WORDS.split())
TARGET_PIECES = st.sampled_from(TARGET_WORDS.split())
NEARLY_PLAIN = st.builds(
    lambda origin, rest: origin + "".join(rest), ORIGINS, st.lists(TARGET_PIECES, max_size=8)
)


@given(st.one_of(NEARLY_PLAIN, URLS))
@settings(max_examples=2000)
def test_url_that_need_not_be_parsed_is_what_the_parser_makes_of_it(url: str) -> None:
    from pool.util.url import parse_url

    size = plain_url(url)
    if not size:
        return
    scheme, _, authority = url[:size].partition("://")
    host, _, port = authority.partition(":")
    parsed = parse_url(url)
    assert (parsed.scheme, parsed.auth, parsed.host) == (scheme, None, host)
    assert parsed.port == (int(port) if port else None)
    assert (parsed.request_uri, parsed.fragment) == (url[size:] or "/", None)


@pytest.mark.parametrize(
    "url",
    ["http://h", "https://h:8443/", "http://h/%C3%A9/%2F?q=%20&r=/../?", "http://h/a//b;c=1,2@:"],
)
def test_url_in_normal_form_need_not_be_parsed(url: str) -> None:
    assert url[: plain_url(url)] == "/".join(url.split("/")[:3])


@pytest.mark.parametrize(
    "url",
    [
        "http://H/", "http://h/%c3", "http://h/%4", "http://h/%", "http://h/..", "http://h/a/.b",
        "http://h?q", "http://h/#f", "http://u@h/", "http://h:65536/", "http://h:/", "/a", "h",
    ],
)  # fmt: skip
def test_url_that_must_be_parsed(url: str) -> None:
    assert plain_url(url) == 0
