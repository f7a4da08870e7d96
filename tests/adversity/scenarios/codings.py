"""dc: content codings that are chained, cut, false, or bombs."""

from __future__ import annotations

import contextlib
import functools
import zlib

from tests.adversity.arena import STREAMS, Arena, scenario
from tests.support import codings, counters
from tests.support.scripted import Expect, Send, chunked, reply

TEXT = b"the quick brown fox " * 500
NAMES = [name for name in codings.available() if name != "x-gzip"]
BOMB_SIZE = 128 * counters.MIB
BOMB_ALLOWED = 24 * counters.MIB  # buffers, not the bomb


def _serve(arena: Arena, body: bytes, *lines: str, status: str = "200 OK") -> str:
    return arena.serve([Expect(), Send(reply(body, *lines, status=status))]).url("/?token=first")


def _is_refused(arena: Arena, body: bytes, *lines: str) -> None:
    url = _serve(arena, body, *lines)
    arena.refused(lambda: arena.get(url, retries=False))
    arena.own_answers(arena.servers[0])


def _is_text(arena: Arena, body: bytes, *lines: str) -> None:
    assert arena.get(_serve(arena, body, *lines), retries=False).body == TEXT
    arena.own_answers(arena.servers[0])


@scenario("dc.chain-five")
def chain_of_five(arena: Arena) -> None:
    lines = "Content-Encoding: gzip, gzip, gzip", "Content-Encoding: gzip, gzip"
    _is_text(arena, codings.encode(TEXT, *["gzip"] * 5), *lines)


@scenario("dc.chain-six")
def chain_of_six(arena: Arena) -> None:
    _is_refused(
        arena, codings.encode(TEXT, *["gzip"] * 6), "Content-Encoding: " + ", ".join(["gzip"] * 6)
    )


@scenario("dc.chain-six-lines")
def chain_over_lines(arena: Arena) -> None:
    """The lines of a header are one list."""
    _is_refused(arena, codings.encode(TEXT, *["gzip"] * 6), *["Content-Encoding: gzip"] * 6)


@scenario("dc.chain-long")
def long_chain(arena: Arena) -> None:
    _is_refused(arena, TEXT, "Content-Encoding: " + ", ".join(["br", "gzip"] * 500))


def _cut(arena: Arena, coding: str) -> None:
    whole = codings.encode(TEXT, coding)
    _is_refused(arena, whole[: len(whole) - 9], f"Content-Encoding: {coding}")


def _false(arena: Arena, coding: str) -> None:
    _is_refused(arena, b"\x01not coded at all", f"Content-Encoding: {coding}")


for _name in NAMES:
    scenario(f"dc.truncated-{_name}")(functools.partial(_cut, coding=_name))
    scenario(f"dc.garbage-{_name}")(functools.partial(_false, coding=_name))


def _trailing(arena: Arena, extra: bytes) -> None:
    """A decoder that makes no progress must end; how is open."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = zlib.compress(TEXT)
    wire = head + chunked(body[:50], body[50:] + extra, extra)
    server = arena.serve([Expect(), Send(wire)])
    with contextlib.suppress(arena.errors.DecodeError):
        assert arena.get(server.url("/"), retries=False).body == TEXT
    arena.own_answers(server)


scenario("dc.deflate-trailing-byte")(functools.partial(_trailing, extra=b"X"))
scenario("dc.deflate-trailing-many")(functools.partial(_trailing, extra=b"trailing bytes " * 100))


bomb = functools.cache(functools.partial(codings.zeros, BOMB_SIZE))


def _bomb_server(arena: Arena, coding: str, *lines: str, status: str = "200 OK") -> str:
    body = bomb(coding)
    if counters.HAVE_PROC:
        counters.reset_peak()  # making it cost more than reading it may
    return _serve(arena, body, f"Content-Encoding: {coding}", *lines, status=status)


def _stays_small(before: int) -> None:
    if counters.HAVE_PROC:
        extra = counters.memory("VmHWM") - before
        assert extra < BOMB_ALLOWED, f"{extra / counters.MIB:.0f} MiB"


def _memory() -> int:
    return counters.memory("VmRSS") if counters.HAVE_PROC else 0


def _bomb_in_pieces(arena: Arena, coding: str) -> None:
    """Inflated as far as it was asked for, at each call, and not at all by the draining."""
    url = _bomb_server(arena, coding)
    before = _memory()
    response = arena.client().open(url)
    assert response.read(1000) + response.read(1000) == bytes(2000)
    assert len(next(response.stream(65536))) > 0
    response.drain_conn()
    response.close()
    _stays_small(before)
    arena.own_answers(arena.servers[0])


def _bomb_of_redirect(arena: Arena, coding: str) -> None:
    url = _bomb_server(arena, coding, "Location: /?token=there", status="302 Found")
    before = _memory()
    assert arena.get(url).body == b"there"
    _stays_small(before)


def _bomb_in_bulk(arena: Arena, coding: str) -> None:
    """`max_body` counts decoded bytes."""
    url = _bomb_server(arena, coding)
    before = _memory()
    arena.refused(lambda: arena.get(url, retries=False, max_body=counters.MIB))
    _stays_small(before)
    arena.own_answers(arena.servers[0])


for _name in NAMES:
    scenario(f"dc.bomb-{_name}", modes=STREAMS)(functools.partial(_bomb_in_pieces, coding=_name))
    scenario(f"dc.bomb-redirect-{_name}")(functools.partial(_bomb_of_redirect, coding=_name))
    scenario(f"dc.bomb-max-body-{_name}", modes=("bulk",))(
        functools.partial(_bomb_in_bulk, coding=_name)
    )
