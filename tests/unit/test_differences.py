"""The deliberate differences from urllib3, each shown on both implementations.

A scenario is a function of the module and returns what it saw; the table says what
urllib3 2.8 and what this package must give.  An entry whose two answers are the same is
no difference.  docs/differences.md names these tests as proofs.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support import codings, programs
from tests.support.counters import is_waiting, wait_until
from tests.support.scripted import (
    Close,
    Expect,
    ScriptedServer,
    Send,
    Stall,
    Step,
    chunked,
    reply,
)

Scenario = Callable[[ModuleType], Any]
TABLE: dict[str, tuple[Scenario, Any, Any]] = {}


def differs(urllib3: Any, pool: Any) -> Callable[[Scenario], Scenario]:
    """Enter a scenario into the table with the two answers."""

    def enter(scenario: Scenario) -> Scenario:
        TABLE[scenario.__name__] = (scenario, urllib3, pool)
        return scenario

    return enter


def seen(call: Callable[[], Any]) -> Any:
    """What a call returns, or the name of the exception that it raises."""
    try:
        return call()
    except Exception as error:
        return type(error).__name__


@contextlib.contextmanager
def served(module: ModuleType, *scripts: list[Step], **options: Any) -> Iterator[Any]:
    """A scripted server (`.server`) and a pool on it."""
    with ScriptedServer([*scripts, []]) as server:
        options = {"maxsize": 1, "timeout": 3, "retries": False, **options}
        with module.HTTPConnectionPool(server.host, server.port, **options) as pool:
            pool.server = server
            yield pool


def answered(module: ModuleType, wire: bytes, *after: Step, method: str = "GET") -> Any:
    """(status, body) of one answer, or the error's name."""
    with served(module, [Expect(), Send(wire), *after]) as pool:
        return seen(lambda: tuple(vars_of(pool.request(method, "/"))))


def vars_of(response: Any) -> Iterator[Any]:
    yield response.status
    yield response.data


def reused(module: ModuleType, wire: bytes, **request: Any) -> tuple[bytes, bool]:
    """Body of the first answer, and whether the second request went the same way."""
    with served(module, [Expect(), Send(wire)]) as pool:
        body = pool.request("GET", "/", **request).data
        wait_until(lambda: pool.server.peers[0].sent >= len(wire))
        time.sleep(0.01)
        pool.request("GET", "/?token=next")
        return body, pool.server.connections() == 1


HEAD = b"HTTP/1.1 200 OK\r\n"
FIVE = HEAD + b"Content-Length: 5\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
HELLO = (200, b"hello")


# --- heads and framing on the wire -----------------------------------------------------------


@differs(urllib3=(200, b""), pool="ProtocolError")
def end_inside_the_head(module: ModuleType) -> Any:
    return answered(module, HEAD + b"X: y\r\n", Close())


@differs(urllib3="b", pool="ProtocolError")
def bare_cr_in_a_head(module: ModuleType) -> Any:
    with served(module, [Expect(), Send(FIVE + b"X-One: a\rX-Two: b\r\n\r\nhello")]) as pool:
        return seen(lambda: pool.request("GET", "/").headers.get("X-Two"))


@differs(urllib3="a\0b", pool="ProtocolError")
def nul_in_a_head(module: ModuleType) -> Any:
    with served(module, [Expect(), Send(FIVE + b"X: a\0b\r\n\r\nhello")]) as pool:
        return seen(lambda: pool.request("GET", "/").headers.get("X"))


@differs(urllib3=HELLO, pool="ProtocolError")
def status_with_a_sign(module: ModuleType) -> Any:
    return answered(module, b"HTTP/1.1 +200 OK\r\nContent-Length: 5\r\n\r\nhello")


@differs(urllib3=HELLO, pool="ProtocolError")
def minor_version_of_two_digits(module: ModuleType) -> Any:
    return answered(module, b"HTTP/1.10 200 OK\r\nContent-Length: 5\r\n\r\nhello")


@differs(urllib3=HELLO, pool="InvalidHeader")
def length_with_a_sign(module: ModuleType) -> Any:
    return answered(module, HEAD + b"Content-Length: +5\r\n\r\nhello")


@differs(urllib3=HELLO, pool="ProtocolError")
def chunk_size_with_a_prefix(module: ModuleType) -> Any:
    return answered(module, CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n")


@differs(urllib3=HELLO, pool="ProtocolError")
def chunk_data_without_its_line_end(module: ModuleType) -> Any:
    return answered(module, CHUNKED + b"5\r\nhelloXX0\r\n\r\n")


@differs(urllib3=(b"hello", True), pool=(b"hello", False))
def coding_and_length(module: ModuleType) -> Any:
    head = HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
    return reused(module, head + chunked(b"hello"))


@differs(urllib3=(b"hello", True), pool=(b"hello", False))
def bytes_behind_an_answer(module: ModuleType) -> Any:
    return reused(module, reply(b"hello") + b"EXTRA")


@differs(urllib3=(b"hello", True), pool=(b"hello", False))
def second_connection_line_says_close(module: ModuleType) -> Any:
    return reused(module, FIVE + b"Connection: keep-alive\r\nConnection: close\r\n\r\nhello")


@differs(urllib3=(103, b""), pool=HELLO)
def early_hints(module: ModuleType) -> Any:
    return answered(module, b"HTTP/1.1 103 Early Hints\r\n\r\n" + reply(b"hello"))


@differs(urllib3=HELLO, pool="ProtocolError")
def more_interim_answers_than_eight(module: ModuleType) -> Any:
    return answered(module, b"HTTP/1.1 100 Continue\r\n\r\n" * 9 + reply(b"hello"))


@differs(urllib3=HELLO, pool="ProtocolError")
def more_trailers_than_a_hundred(module: ModuleType) -> Any:
    trailers = b"".join(b"X-%d: y\r\n" % number for number in range(101))
    return answered(module, CHUNKED + b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n")


@differs(urllib3=HELLO, pool="ProtocolError")
def head_of_more_than_a_quarter_megabyte(module: ModuleType) -> Any:
    lines = b"".join(b"X-%d: %b\r\n" % (number, b"y" * 60_000) for number in range(5))
    return answered(module, FIVE + lines + b"\r\nhello")


@differs(urllib3=(200, b"5\r\nhello\r\n0\r\n\r\n"), pool=HELLO)
def chunked_last_of_several_codings(module: ModuleType) -> Any:
    head = HEAD + b"Transfer-Encoding: identity, chunked\r\n\r\n"
    return answered(module, head + chunked(b"hello"), Close())


@differs(urllib3="ReadTimeoutError", pool=(304, b""))
def not_modified_with_a_coding(module: ModuleType) -> Any:
    head = b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"
    with served(module, [Expect(), Send(head), Stall(2)], timeout=0.5) as pool:
        return seen(lambda: tuple(vars_of(pool.request("GET", "/"))))


@differs(urllib3="OverflowError", pool="InvalidHeader")
def length_beyond_all_integers(module: ModuleType) -> Any:
    return answered(module, HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nhello", Close())


@differs(urllib3=(200, b"5\r\nhello\r\n0\r\n\r\n"), pool=HELLO)
def coding_with_blanks_behind_it(module: ModuleType) -> Any:
    head = HEAD + b"Transfer-Encoding: chunked \t\r\n\r\n"
    return answered(module, head + chunked(b"hello"), Close())


@differs(urllib3=HELLO, pool=(200, b"hello more"))
def length_beside_an_unknown_coding(module: ModuleType) -> Any:
    head = HEAD + b"Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n"
    return answered(module, head + b"hello more", Close())


@differs(urllib3=(204, b"hello"), pool=(204, b""))
def no_content_with_a_coding(module: ModuleType) -> Any:
    head = b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"
    return answered(module, head + chunked(b"hello"), Close())


@differs(urllib3=HELLO, pool="ProtocolError")
def end_inside_the_last_chunk_line(module: ModuleType) -> Any:
    return answered(module, CHUNKED + b"5\r\nhello\r\n0", Close())


@differs(urllib3=(b"hello", True), pool=(b"hello", False))
def line_without_a_colon(module: ModuleType) -> Any:
    return reused(module, FIVE + b"no colon here\r\n\r\nhello")


@differs(urllib3=(b"hello", True), pool=(b"hello", False))
def coding_in_http_1_0(module: ModuleType) -> Any:
    head = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
    return reused(module, head + chunked(b"hello"))


# --- bodies ----------------------------------------------------------------------------------


def cut_body(module: ModuleType, coding: str) -> Any:
    data = codings.encode(b"some letters" * 100, coding)[:-5]
    wire = reply(data, f"Content-Encoding: {coding}")
    return seen(lambda: type(answered_body(module, wire)).__name__)


def answered_body(module: ModuleType, wire: bytes) -> bytes:
    with served(module, [Expect(), Send(wire)]) as pool:
        return bytes(pool.request("GET", "/").data)


@differs(urllib3="bytes", pool="DecodeError")
def gzip_cut_off(module: ModuleType) -> Any:
    return cut_body(module, "gzip")


@differs(urllib3="bytes", pool="DecodeError")
def deflate_cut_off(module: ModuleType) -> Any:
    return cut_body(module, "deflate")


@differs(urllib3="bytes", pool="DecodeError")
def brotli_cut_off(module: ModuleType) -> Any:
    if codings.brotli is None:
        programs.lacking("brotli")
    return cut_body(module, "br")


@differs(urllib3=True, pool=False)
def drain_reads_to_the_end_whatever_the_length(module: ModuleType) -> Any:
    """64 KiB are worth a connection, and not more."""
    with served(module, [Expect(), Send(reply(b"x" * 300_000))]) as pool:
        response = pool.request("GET", "/", preload_content=False)
        response.drain_conn()
        pool.request("GET", "/")
        return pool.server.connections() == 1


@differs(urllib3=1, pool=2)
def connections_for_a_redirect_with_a_long_body(module: ModuleType) -> Any:
    moved = reply(b"x" * 300_000, "Location: /there", status="302 Found")
    with ScriptedServer([[Expect(), Send(moved)], []]) as server:
        with module.PoolManager(timeout=3) as manager:
            manager.request("GET", server.url())
            return server.connections()


@differs(urllib3="EmptyPoolError", pool=200)
def response_closed_unread_in_a_blocking_pool(module: ModuleType) -> Any:
    with served(module, [Expect(), Send(reply(b"x" * 100))], block=True) as pool:
        pool.request("GET", "/", preload_content=False).close()
        return seen(lambda: pool.request("GET", "/", pool_timeout=0.1).status)


@differs(urllib3="EmptyPoolError", pool=200)
def response_dropped_unread_in_a_blocking_pool(module: ModuleType) -> Any:
    with served(module, [Expect(), Send(reply(b"x" * 100))], block=True) as pool:
        pool.request("GET", "/", preload_content=False)
        return seen(lambda: pool.request("GET", "/", pool_timeout=0.1).status)


class Endless(io.BytesIO):
    """Says how often it was read at its end, and stops who goes on."""

    reads = 0

    def read(self, amt: int | None = -1) -> bytes:
        data = super().read(amt)
        self.reads += not data
        if self.reads > 5:
            raise RuntimeError("read again and again at the end")
        return data


@differs(urllib3="RuntimeError", pool=b"foo")
def stream_without_an_amount(module: ModuleType) -> Any:
    response = module.HTTPResponse(Endless(b"foo"), preload_content=False)
    return seen(lambda: b"".join(response.stream(None)))


@differs(urllib3=True, pool=False)
def private_names_of_an_io_base(module: ModuleType) -> Any:
    return hasattr(module.HTTPResponse(b""), "_checkReadable")


@differs(urllib3=True, pool=False)
def headers_that_are_a_builtin_dict_too(module: ModuleType) -> Any:
    try:
        return bool(type("Both", (module.HTTPHeaderDict, dict), {}))
    except TypeError:
        return False


@differs(urllib3=True, pool=False)
def hand_built_response_closes_its_file_when_dropped(module: ModuleType) -> Any:
    file = io.BytesIO(b"body")
    response = module.HTTPResponse(file, preload_content=False)
    del response
    return file.closed


# --- requests --------------------------------------------------------------------------------


def raw_head(module: ModuleType, method: str = "GET", hooked: bool = False, **kw: Any) -> Any:
    """The head as the server got it, or the error's name.

    `hooked`: by a connection class with a method of its own, so through http.client.
    """
    heads: list[bytes] = []

    def take(peer: Any) -> None:
        heads.append(peer.take_until(b"\r\n\r\n"))

    with served(module, [take, Send(reply(b"ok", "Connection: close")), Close()]) as pool:
        if hooked:
            pool.ConnectionCls = with_own_send(pool.ConnectionCls)
        failure = seen(lambda: pool.request(method, "/", **kw) and None)
        return failure or heads[0]


def with_own_send(cls: type) -> type:
    def send(self: Any, data: Any) -> None:
        cls.send(self, data)  # type: ignore[attr-defined]

    return type("Own", (cls,), {"send": send})


def contains(head: Any, part: bytes) -> Any:
    return head if isinstance(head, str) else part in head


@differs(urllib3=True, pool="ValueError")
def fold_in_a_sent_value(module: ModuleType) -> Any:
    return contains(raw_head(module, headers={"X": "a\r\n b"}), b"X: a\r\n b")


@differs(urllib3=True, pool="ValueError")
def nul_in_a_sent_value(module: ModuleType) -> Any:
    return contains(raw_head(module, headers={"X": "a\0b"}), b"a\0b")


@differs(urllib3=True, pool="ValueError")
def sent_name_that_ends_with_a_blank(module: ModuleType) -> Any:
    return contains(raw_head(module, headers={"X ": "y"}), b"\r\nX : y")


@differs(urllib3=True, pool="ValueError")
def line_end_in_a_part_header(module: ModuleType) -> Any:
    field = module.fields.RequestField("f", b"data", headers={"X": "a\r\nY: b"})
    made = seen(lambda: module.encode_multipart_formdata([field])[0])
    return made if isinstance(made, str) else b"\r\nY: b" in made


@differs(urllib3=True, pool="ValueError")
def empty_method(module: ModuleType) -> Any:
    return contains(raw_head(module, ""), b" / HTTP/1.1\r\n")


BOTH_FRAMINGS = {"Transfer-Encoding": "chunked", "Content-Length": "5"}


@differs(urllib3=True, pool=False)
def own_coding_and_own_length(module: ModuleType) -> Any:
    head = raw_head(module, "POST", hooked=True, body=b"hello", headers=BOTH_FRAMINGS)
    return contains(head, b"Content-Length: 5")


@differs(urllib3=True, pool=False)
def own_connection_close_and_reuse(module: ModuleType) -> Any:
    return reused(module, reply(b"hello"), headers={"Connection": "close"})[1]


@differs(urllib3=[b"only", b""], pool=([b"only"], "UnrewindableBodyError"))
def generator_after_a_lost_answer(module: ModuleType) -> Any:
    script: list[Step] = [Expect(), Close()]
    with served(module, script, retries=1) as pool:
        body = iter([b"only"])
        failure = seen(lambda: pool.request("PUT", "/", body=body) and None)
        bodies = [request.body for request in pool.server.requests]
        return bodies if failure is None else (bodies, failure)


@differs(urllib3=([b"only", b""], None), pool=([b"only"], "UnrewindableBodyError"))
def generator_after_a_redirect(module: ModuleType) -> Any:
    moved = reply(b"", "Location: /there", status="307 Temporary Redirect")
    with ScriptedServer([[Expect(), Send(moved)]]) as server:
        with module.PoolManager(timeout=3) as manager:
            url, body = server.url(), iter([b"only"])
            failure = seen(lambda: manager.request("PUT", url, body=body) and None)
        return [request.body for request in server.requests], failure


@differs(urllib3=[b"all", b""], pool=[b"all", b"all"])
def file_after_a_redirect_of_the_manager(module: ModuleType) -> Any:
    moved = reply(b"", "Location: /there", status="307 Temporary Redirect")
    with ScriptedServer([[Expect(), Send(moved)]]) as server:
        with module.PoolManager(timeout=3) as manager:
            manager.request("PUT", server.url(), body=io.BytesIO(b"all"), preload_content=True)
        return [request.body for request in server.requests]


@differs(urllib3=True, pool=False)
def credentials_named_in_bytes_go_to_another_origin(module: ModuleType) -> Any:
    with ScriptedServer([]) as other:
        moved = reply(b"", f"Location: {other.url()}", status="302 Found")
        with ScriptedServer([[Expect(), Send(moved)]]) as server:
            with module.PoolManager(timeout=3) as manager:
                manager.request("GET", server.url(), headers={b"Authorization": "secret"})
            return other.requests[0].get("authorization") == "secret"


@differs(urllib3="ok", pool="LocationParseError")
def redirect_to_an_empty_host(module: ModuleType) -> Any:
    return redirected(module, "Location: http:///path")


@differs(urllib3="ValueError", pool="LocationParseError")
def redirect_to_an_address_that_is_none(module: ModuleType) -> Any:
    return redirected(module, "Location: http://[::1/")


@differs(urllib3="ok", pool="LocationParseError")
def redirect_to_several_targets(module: ModuleType) -> Any:
    return redirected(module, "Location: /a", "Location: /b")


def redirected(module: ModuleType, *lines: str) -> Any:
    moved = reply(b"", *lines, status="302 Found")
    with ScriptedServer([[Expect(), Send(moved)]]) as server:
        with module.PoolManager(timeout=3, retries=module.Retry(1, connect=0)) as manager:
            made = seen(lambda: manager.request("GET", server.url()) and "ok")
            return made


# --- proxies ---------------------------------------------------------------------------------


def tunnelled(module: ModuleType, answer: bytes) -> Any:
    """The cause of the failure of a CONNECT that is answered so, or what came after it."""
    with ScriptedServer([[Expect(), Send(answer)]]) as server:
        conn = module.connection.HTTPConnection(server.host, server.port, timeout=3)
        conn.set_tunnel("origin.test", 80)
        made = seen(lambda: conn.connect() and None)
        conn.close()
        return made


@differs(urllib3="OSError", pool=None)
def interim_reply_to_connect(module: ModuleType) -> Any:
    return tunnelled(module, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")


@differs(urllib3=None, pool="OSError")
def bytes_behind_the_reply_to_connect(module: ModuleType) -> Any:
    return tunnelled(module, b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")


# --- pools and managers ----------------------------------------------------------------------


@differs(urllib3=0, pool=1)
def free_slots_while_a_retry_sleeps(module: ModuleType) -> Any:
    counts: list[int] = []

    class Watching(module.Retry):  # type: ignore[misc, name-defined]
        def sleep(self, response: Any = None) -> None:
            counts.append(pool.pool.qsize())

    with served(module, [Expect(), Close()], block=True) as pool:
        pool.request("GET", "/", retries=Watching(1))
    return counts[0]


@differs(urllib3="EmptyPoolError", pool="ClosedPoolError")
def waiter_when_the_pool_closes(module: ModuleType) -> Any:
    pool = module.HTTPConnectionPool("127.0.0.1", 9, maxsize=1, block=True)
    pool._get_conn()
    made: list[Any] = []
    waiter = threading.Thread(target=lambda: made.append(seen(lambda: pool._get_conn(timeout=1.5))))
    waiter.start()
    assert wait_until(lambda: is_waiting(waiter))
    pool.close()
    waiter.join(5)
    return made[0]


@differs(urllib3=4, pool=1)
def warnings_of_a_full_pool(module: ModuleType) -> Any:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.msg)  # type: ignore[method-assign]
    logger = logging.getLogger("urllib3.connectionpool")
    logger.addHandler(handler)
    try:
        pool = module.HTTPConnectionPool("127.0.0.1", 9, maxsize=1)
        for _ in range(4):
            pool._put_conn(pool.ConnectionCls("127.0.0.1", 9))
    finally:
        logger.removeHandler(handler)
    return sum("pool is full" in line for line in lines)


@differs(urllib3="TypeError", pool=7)
def manager_in_a_pickle(module: ModuleType) -> Any:
    def travel() -> Any:
        copy = pickle.loads(pickle.dumps(module.PoolManager(7, timeout=3)))
        return copy.pools._maxsize

    return seen(travel)


@differs(urllib3="TypeError", pool=b"x")
def answer_in_a_pickle(module: ModuleType) -> Any:
    with served(module, [Expect(), Send(reply(b"x"))]) as pool:
        answer = pool.request("GET", "/")
        return seen(lambda: pickle.loads(pickle.dumps(answer)).data)


@differs(urllib3=True, pool=False)
def frames_of_a_failure_in_the_history(module: ModuleType) -> Any:
    with served(module, [Expect(), Close()], [Expect(), Send(reply(b"x"))]) as pool:
        response = pool.request("GET", "/", retries=1)
        return response.retries.history[0].error.args[1].__traceback__ is not None


@differs(urllib3=("ValueError", "OverflowError"), pool=(21600, "InvalidHeader"))
def retry_after_beyond_the_clock(module: ModuleType) -> Any:
    parse = module.Retry().parse_retry_after
    date = "Mon, 99 Jun 99999999999 12:00:00 GMT"
    return seen(lambda: parse("9" * 5000)), seen(lambda: parse(date))


@differs(urllib3="Failed to parse: Failed to parse: x", pool="Failed to parse: x")
def text_of_an_error_from_a_pickle(module: ModuleType) -> Any:
    return str(pickle.loads(pickle.dumps(module.exceptions.LocationParseError("x"))))


@differs(urllib3="NoneType", pool="ProxyConnectionError")
def cause_of_a_refusal_on_the_way_to_a_socks_proxy(module: ModuleType) -> Any:
    if importlib.util.find_spec("socks") is None:
        programs.unavailable("no PySocks")
    contrib = importlib.import_module(f"{module.__name__}.contrib.socks")
    with ScriptedServer() as server:
        port = server.port
    with contrib.SOCKSProxyManager(f"socks5://127.0.0.1:{port}", timeout=3) as manager:
        with pytest.raises(module.exceptions.MaxRetryError) as caught:
            manager.request("GET", "http://127.0.0.1:9/", retries=0)
    return type(caught.value.reason.__cause__).__name__


@differs(urllib3=None, pool="ValueError")
def line_end_behind_an_http2_name(module: ModuleType) -> Any:
    if importlib.util.find_spec("h2") is None:
        programs.unavailable("no h2")
    http2 = importlib.import_module(f"{module.__name__}.http2.connection")
    conn = http2.HTTP2Connection("localhost")
    return seen(lambda: conn.putheader("x-name\n", "value"))


# --- TLS and modules -------------------------------------------------------------------------


@differs(urllib3=False, pool=True)
def tls_names_of_util_follow_ssl_(module: ModuleType) -> Any:
    ssl_: Any = importlib.import_module(f"{module.__name__}.util.ssl_")
    replaced, kept = object(), ssl_.SSLContext
    ssl_.SSLContext = replaced
    try:
        return module.util.SSLContext is replaced
    finally:
        ssl_.SSLContext = kept


def in_a_new_process(module: ModuleType, program: str, *arguments: str) -> str:
    """What the program, which has the module as `urllib3`, prints."""
    source = str(Path(str(module.__file__)).parents[1])
    path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH", ""))))
    code = f"import sys, {module.__name__} as urllib3\n{program}"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@differs(urllib3="True", pool="False")
def decoders_are_loaded_by_the_import(module: ModuleType) -> Any:
    return in_a_new_process(module, "print('GzipDecoder' in vars(urllib3.response))")


@differs(urllib3="True", pool="False")
def pools_are_loaded_by_the_import(module: ModuleType) -> Any:
    return in_a_new_process(module, "print('PoolManager' in vars(urllib3))")


@differs(urllib3="True", pool="False")
def audit_event_of_http_client(module: ModuleType) -> Any:
    program = """
events = []
sys.addaudithook(lambda event, _: events.append(event))
urllib3.request("GET", sys.argv[1])
assert "http.client.connect" in events
print("http.client.send" in events)
"""
    with ScriptedServer([]) as server:
        return in_a_new_process(module, program, server.url())


@differs(urllib3=(True, True), pool=(False, False))
def private_names_that_are_not_there(module: ModuleType) -> Any:
    response = importlib.import_module(f"{module.__name__}.response")
    return (
        hasattr(module.connection, "_OBSOLETE_FOLD_RE"),
        hasattr(response, "DependencyWarning"),
    )


# --- TLS -------------------------------------------------------------------------------------


class TestTLS:
    """Not in the table: these need certificates."""

    @pytest.mark.parametrize(("name", "shared"), [("urllib3", False), ("pool", True)])
    def test_context_is_shared(
        self, both: dict[str, ModuleType], certificates: Any, name: str, shared: bool
    ) -> None:
        context = certificates.server.server_context()
        with ScriptedServer([], context) as server:
            options = {"ca_certs": str(certificates.ca), "timeout": 3}
            with both[name].HTTPSConnectionPool(server.host, server.port, **options) as pool:
                one, other = pool._new_conn(), pool._new_conn()
                try:
                    one.connect()
                    other.connect()
                    assert (one.sock.context is other.sock.context) is shared
                finally:
                    one.close()
                    other.close()

    @pytest.mark.parametrize(("name", "outcome"), [("urllib3", b"hello"), ("pool", "SSLError")])
    def test_end_without_close_notify(
        self, both: dict[str, ModuleType], certificates: Any, name: str, outcome: Any
    ) -> None:
        context = certificates.server.server_context()
        script: list[Step] = [Expect(), Send(HEAD + b"\r\nhello"), Close(notify=False)]
        with ScriptedServer([script], context) as server:
            options = {"ca_certs": str(certificates.ca), "timeout": 3, "retries": False}
            with both[name].HTTPSConnectionPool(server.host, server.port, **options) as pool:
                assert seen(lambda: pool.request("GET", "/").data) == outcome


# --- both ways through the code --------------------------------------------------------------

RULES: dict[str, tuple[dict[str, Any], Any]] = {
    "fold": ({"headers": {"X": "a\r\n b"}}, "ValueError"),
    "nul": ({"headers": {"X": "a\0b"}}, "ValueError"),
    "blank-before-name": ({"headers": {" X": "y"}}, "ValueError"),
    "blank-behind-name": ({"headers": {"X ": "y"}}, "ValueError"),
    "empty-method": ({"method": ""}, "ValueError"),
    "two-framings": ({"method": "POST", "body": b"hello", "headers": BOTH_FRAMINGS}, False),
}


@pytest.mark.parametrize("hooked", [False, True], ids=["core", "http.client"])
@pytest.mark.parametrize("rule", RULES)
def test_rule_for_requests_holds_on_both_paths(
    subject: ModuleType, rule: str, hooked: bool
) -> None:
    request, expected = RULES[rule]
    head = raw_head(subject, hooked=hooked, **request)
    assert contains(head, b"Content-Length: 5") == expected


# --- the table -------------------------------------------------------------------------------

IMPLEMENTATIONS = ("urllib3", "pool")


@pytest.mark.parametrize("which", [0, 1], ids=IMPLEMENTATIONS)
@pytest.mark.parametrize("name", TABLE)
def test_difference(both: dict[str, ModuleType], name: str, which: int) -> None:
    scenario, *expected = TABLE[name]
    with warnings.catch_warnings():
        # urllib3 leaves sockets and files to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        assert scenario(both[IMPLEMENTATIONS[which]]) == expected[which]


@pytest.mark.parametrize("name", TABLE)
def test_entry_is_a_difference(name: str) -> None:
    _, theirs, ours = TABLE[name]
    assert theirs != ours
