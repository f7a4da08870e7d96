"""Framing and stale connections over TLS, where an end of stream says who ended it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from tests.adversity.cases import FRAMING, REFUSED, Case
from tests.adversity.harness import attempt, hostile, next_requests_get_their_own
from tests.adversity.test_framing import check_outcome
from tests.support.scripted import Close, HalfClose, chunked, reply

UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\nhello"
# One of each kind is enough here: the parser is the same as without TLS.
NAMES = (
    "sl.plain",
    "sl.empty-answer",
    "hd.bare-cr",
    "hd.trunc-in-value",
    "te.with-cl",
    "cl.plain",
    "cl.short-close",
    "cl.extra-bytes",
    "cl.extra-response",
    "cl.none-closed",
    "cl.invalid-plus",
    "ck.one",
    "ck.many",
    "ck.trunc-in-data",
    "ck.data-no-crlf",
    "ck.extra-response",
    "in.103",
    "bl.head",
    "bl.204-with-body",
    "life.conn-close",
)
CASES = [case for case in FRAMING if case.name in NAMES]
assert len(CASES) == len(NAMES)


def over_tls(subject: ModuleType, certificates: Any, case: Case, mode: str, piece: int = 0) -> Any:
    context = certificates.server.server_context()
    with hostile(subject, case.script(piece), context=context, ca_certs=str(certificates.ca)) as (
        server,
        pool,
    ):
        answer = attempt(subject, pool, case.method, "/?token=first", mode, retries=False)
        if not isinstance(answer, str):
            server.wait_for(case.script(piece))
        next_requests_get_their_own(pool)
        reused = server.connections() == 1
    if case.reuse is not None and not isinstance(answer, str):
        assert reused is case.reuse
    return answer


@pytest.mark.parametrize("mode", ["preload", "stream", "read1"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_framing_over_tls(subject: ModuleType, certificates: Any, case: Case, mode: str) -> None:
    check_outcome(case, over_tls(subject, certificates, case, mode))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_framing_over_tls_in_small_records(
    subject: ModuleType, certificates: Any, case: Case
) -> None:
    piece = 1 if len(case.wire) < 300 else 50
    check_outcome(case, over_tls(subject, certificates, case, "preload", piece))


CUTS = {
    "until-closed": UNTIL_CLOSED,
    "headers": b"HTTP/1.1 200 OK\r\nContent-Le",
    "length": reply(b"hel", "Content-Length: 5"),
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
}


@pytest.mark.parametrize("mode", ["preload", "stream", "read", "read1"])
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("end", [Close(notify=False), HalfClose()], ids=["closed", "half-closed"])
def test_truncation_without_close_notify_is_an_error(
    subject: ModuleType, certificates: Any, cut: str, end: Any, mode: str
) -> None:
    """Anybody on the path can send FIN; only close_notify is the server's (RFC 9112 9.8)."""
    case = Case("tls.truncation", CUTS[cut], (REFUSED,), after=[end])
    check_outcome(case, over_tls(subject, certificates, case, mode))


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_complete_body_needs_no_close_notify(
    subject: ModuleType, certificates: Any, framing: str
) -> None:
    wire = reply(b"hello")
    if framing == "chunked":
        wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello")
    case = Case("tls.no-notify", wire, (b"hello",), after=[Close(notify=False)])
    check_outcome(case, over_tls(subject, certificates, case, "preload"))
