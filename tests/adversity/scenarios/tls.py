"""tls: servers that are not who they say, and connections that somebody else ends."""

from __future__ import annotations

import ssl
import warnings
from typing import Any

from tests.adversity.arena import Arena, Scenario, add
from tests.support.scripted import (
    Close,
    Expect,
    HalfClose,
    Pause,
    Reset,
    Send,
    Serve,
    Stall,
    chunked,
    reply,
)


def tls(name: str, **limits: Any) -> Any:
    """As `scenario`, over TLS only."""

    def register(play: Any) -> Any:
        add(Scenario(f"tls.{name}", play, transports=("tls",), **limits))
        return play

    return register


def _nobody_is_asked(arena: Arena, context: Any, **options: Any) -> None:
    """The certificate is refused, and no byte of a request was sent before that."""
    server = arena.serve_as(context)
    arena.client(retries=False, **options)
    arena.refused(lambda: arena.get(server.url("/?token=secret")), "SSLError")
    assert server.requests == []


def _broken(arena: Arena, kind: str) -> None:
    _nobody_is_asked(arena, getattr(arena.certificates, kind).server_context())


tls("wrong-host")(lambda arena: _broken(arena, "wrong_host"))
tls("expired")(lambda arena: _broken(arena, "expired"))
tls("not-yet-valid")(lambda arena: _broken(arena, "not_yet_valid"))
tls("self-signed")(lambda arena: _broken(arena, "self_signed"))


@tls("other-ca")
def other_ca(arena: Arena) -> None:
    _nobody_is_asked(arena, arena.context(), ca_certs=str(arena.certificates.foreign_ca))


@tls("ca-only-given")
def only_the_given_ca(arena: Arena) -> None:
    """What the system trusts does not count beside a CA that was given."""
    import os

    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = arena.ca
    try:
        _nobody_is_asked(arena, arena.context(), ca_certs=str(arena.certificates.foreign_ca))
    finally:
        if before is None:
            del os.environ["SSL_CERT_FILE"]
        else:
            os.environ["SSL_CERT_FILE"] = before


@tls("fingerprint")
def other_fingerprint(arena: Arena) -> None:
    wrong = arena.certificates.wrong_host.fingerprint()
    _nobody_is_asked(arena, arena.context(), assert_fingerprint=wrong)


@tls("version-old")
def old_version(arena: Arena) -> None:
    context = arena.context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    _nobody_is_asked(arena, context)


@tls("verify-isolated")
def unverified_connection(arena: Arena) -> None:
    """A connection that nobody verified never serves a request that asks for it."""
    server = arena.serve_as(arena.certificates.wrong_host.server_context())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lax = arena.client(cert_reqs="CERT_NONE", retries=False)
        assert lax.fetch("GET", server.url("/?token=t")).body == b"t"
        lax.manager.connection_pool_kw.update(cert_reqs="CERT_REQUIRED", ca_certs=arena.ca)
        arena.refused(lambda: lax.fetch("GET", server.url("/?token=secret")), "SSLError")
    assert len(server.requests) == 1


@tls("client-cert-isolated")
def client_certificate(arena: Arena) -> None:
    """Nor does one that was opened with a client's certificate serve a request without it."""
    pair = arena.certificates.client
    server = arena.serve_as(arena.certificates.server.server_context(arena.certificates.ca))
    known = arena.client(cert_file=str(pair.certificate), key_file=str(pair.key), retries=False)
    assert known.fetch("GET", server.url("/?token=t")).body == b"t"
    for name in ("cert_file", "key_file"):
        known.manager.connection_pool_kw.pop(name)
    arena.refused(lambda: known.fetch("GET", server.url("/?token=secret")))
    assert len(server.requests) == 1


@tls("ip-forms")
def forms_of_an_address(arena: Arena) -> None:
    """An address is compared as an address, in whatever form it is written, or refused."""
    server = arena.serve()
    arena.client(retries=False)
    for host in ("127.1", "0x7f.1", "2130706433", "127.0.0.1."):
        try:
            arena.get(f"https://{host}:{server.port}/?token=t")
        except arena.errors.HTTPError:
            assert len(server.requests) == 0
        else:
            server.peers[-1].requests.clear()


@tls("plain-server")
def plain_server(arena: Arena) -> None:
    server = arena.serve([Send(reply(b"plain")), Close()], tls=False)
    arena.client(retries=False)
    arena.refused(lambda: arena.get(server.url("/").replace("http:", "https:")))


@tls("handshake-garbage")
def garbage(arena: Arena) -> None:
    server = arena.serve([Send(b"\x16\x03\x03\xff\xff" + b"\0" * 500), Close()], tls=False)
    arena.client(retries=False)
    arena.refused(lambda: arena.get(server.url("/").replace("http:", "https:")))


@tls("handshake-reset")
def reset(arena: Arena) -> None:
    server = arena.serve([Pause(0.05), Reset()], tls=False)
    arena.client(retries=False)
    arena.refused(lambda: arena.get(server.url("/").replace("http:", "https:")))


@tls("handshake-stall")
def stall(arena: Arena) -> None:
    server = arena.serve([Stall()], tls=False)
    arena.client(retries=False, timeout=0.5)
    url = server.url("/").replace("http:", "https:")
    arena.refused(lambda: arena.get(url), "TimeoutError")


CUTS = {
    "until-closed": b"HTTP/1.1 200 OK\r\n\r\nhello",
    "head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "length": reply(b"hel", "Content-Length: 5"),
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
}


def _cut(arena: Arena, wire: bytes, end: Any) -> None:
    """Anybody on the way can send FIN; only close_notify is the server's (RFC 9112 9.8)."""
    server = arena.serve([Expect(), Send(wire), end])
    arena.refused(lambda: arena.get(server.url("/"), retries=False))
    arena.own_answers(server)


for _name, _wire in CUTS.items():
    tls(f"truncation-{_name}")(lambda arena, wire=_wire: _cut(arena, wire, Close(notify=False)))
tls("truncation-half-close")(lambda arena: _cut(arena, CUTS["until-closed"], HalfClose()))


@tls("no-notify-needed")
def complete_without_notify(arena: Arena) -> None:
    framed = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello")
    wires = (reply(b"hello"), framed)
    server = arena.serve(*[[Expect(), Send(wire), Close(notify=False)] for wire in wires])
    for _ in range(2):
        assert arena.get(server.url("/")).body == b"hello"


@tls("extra-record")
def answer_in_a_further_record(arena: Arena) -> None:
    """What nobody asked for lies decrypted, or not yet, behind the answer."""
    server = arena.serve([Expect(), Send(reply(b"first")), Send(reply(b"nobody asked")), Serve()])
    assert arena.get(server.url("/")).body == b"first"
    server.wait_for([Expect()] * 3)
    arena.own_answers(server)
    assert server.connections() == 2
