"""One pool: checkout and return, one exchange, retries, redirects within the host."""

from __future__ import annotations

import gc
import http.client
import importlib
import logging
import queue
import threading
import time
import weakref
from types import ModuleType
from typing import Any

import pytest

from tests.support.counters import wait_until
from tests.support.scripted import (
    Close,
    Expect,
    Flood,
    Pause,
    Reset,
    Send,
    Serve,
    Stall,
    chunked,
    reply,
)


@pytest.fixture
def module(impl: ModuleType) -> ModuleType:
    return importlib.import_module(f"{impl.__name__}.connectionpool")


@pytest.fixture
def ours(subject: ModuleType) -> ModuleType:
    return importlib.import_module(f"{subject.__name__}.connectionpool")


def pool_for(module: ModuleType, server: Any, **kw: Any) -> Any:
    return module.HTTPConnectionPool(server.host, server.port, **{"timeout": 10, **kw})


def redirect_to(location: str, status: str = "302 Found", body: bytes = b"") -> bytes:
    return reply(body, f"Location: {location}", status=status)


class TestCheckout:
    def test_queue_starts_with_the_right_to_connect(self, module: Any) -> None:
        with module.HTTPConnectionPool("localhost", maxsize=3) as pool:
            assert isinstance(pool.pool, queue.LifoQueue)
            assert (pool.pool.qsize(), pool.pool.maxsize) == (3, 3)
            assert pool.pool.get(block=False) is None

    def test_last_returned_connection_comes_first(self, module: Any) -> None:
        with module.HTTPConnectionPool("localhost", maxsize=2) as pool:
            one, two = pool._get_conn(), pool._get_conn()
            pool._put_conn(one)
            pool._put_conn(two)
            assert pool._get_conn() is two
            assert pool.num_connections == 2

    def test_blocking_pool_gives_up_in_time(self, impl: ModuleType, module: Any) -> None:
        with module.HTTPConnectionPool("localhost", maxsize=1, block=True) as pool:
            pool._get_conn()
            started = time.monotonic()
            with pytest.raises(impl.exceptions.EmptyPoolError, match="Pool is empty and a new"):
                pool._get_conn(timeout=0.1)
            assert 0.05 < time.monotonic() - started < 5

    def test_request_that_got_no_connection_returns_none(
        self, impl: ModuleType, module: Any
    ) -> None:
        with module.HTTPConnectionPool("localhost", maxsize=1, block=True) as pool:
            pool._get_conn()
            with pytest.raises(impl.exceptions.EmptyPoolError):
                pool.request("GET", "/", pool_timeout=0.05)
            assert pool.pool.qsize() == 0

    def test_full_blocking_pool_refuses_a_stranger(self, impl: ModuleType, module: Any) -> None:
        with module.HTTPConnectionPool("localhost", maxsize=1, block=True) as pool:
            stranger = pool._new_conn()
            with pytest.raises(impl.exceptions.FullPoolError, match="reached maximum size"):
                pool._put_conn(stranger)

    def test_full_pool_is_logged_once(self, ours: Any, caplog: pytest.LogCaptureFixture) -> None:
        with ours.HTTPConnectionPool("localhost", maxsize=1) as pool:
            for _ in range(3):
                pool._put_conn(pool._new_conn())
        lines = [r for r in caplog.records if "Connection pool is full" in r.getMessage()]
        assert [line.name for line in lines] == ["urllib3.connectionpool"]

    def test_closed_pool_refuses(self, impl: ModuleType, module: Any) -> None:
        pool = module.HTTPConnectionPool("localhost")
        conn = pool._get_conn()
        pool.close()
        assert pool.pool is None
        pool._put_conn(conn)
        with pytest.raises(impl.exceptions.ClosedPoolError):
            pool.request("GET", "/")

    def test_close_wakes_who_waits(self, subject: ModuleType, ours: Any) -> None:
        pool = ours.HTTPConnectionPool("localhost", maxsize=1, block=True)
        pool._get_conn()
        errors: list[BaseException] = []

        def wait() -> None:
            try:
                pool._get_conn()
            except subject.exceptions.ClosedPoolError as error:
                errors.append(error)

        waiters = [threading.Thread(target=wait, daemon=True) for _ in range(3)]
        for thread in waiters:
            thread.start()
        assert wait_until(lambda: pool.pool.waiting == 3)
        pool.close()
        for thread in waiters:
            thread.join(5)
        assert len(errors) == 3

    def test_forgotten_pool_closes_its_connections(self, module: Any, scripted: Any) -> None:
        server = scripted()
        pool = pool_for(module, server)
        pool.request("GET", "/")
        conn = pool._get_conn()
        pool._put_conn(conn)
        gone = weakref.ref(pool)
        del pool
        gc.collect()
        assert gone() is None
        assert conn.is_closed

    def test_queue_class_may_be_assigned(
        self, module: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Other(queue.LifoQueue):  # type: ignore[type-arg]
            pass

        monkeypatch.setattr(module.ConnectionPool, "QueueCls", Other)
        with module.HTTPConnectionPool("localhost") as pool:
            assert type(pool.pool) is Other

    def test_errors_say_what_to_do(self, subject: ModuleType, ours: Any) -> None:
        errors = subject.exceptions
        pool = ours.HTTPConnectionPool("localhost", maxsize=1, block=True)
        with pytest.raises(errors.FullPoolError) as full:
            pool._put_conn(pool._new_conn())
        pool._get_conn()
        with pytest.raises(errors.EmptyPoolError) as empty:
            pool._get_conn(timeout=0.01)
        pool.close()
        with pytest.raises(errors.ClosedPoolError) as closed:
            pool._get_conn()
        with pytest.raises(errors.LocationValueError) as nowhere:
            ours.HTTPConnectionPool("")
        assert "twice" in full.value.hint
        assert "maxsize" in empty.value.hint
        assert "closed" in closed.value.hint
        assert "host" in nowhere.value.hint


class TestOverriding:
    def test_own_new_conn_and_a_number_as_timeout(self, module: Any, scripted: Any) -> None:
        server = scripted()

        class Connection(module.HTTPConnection):  # type: ignore[name-defined, misc]
            def connect(self) -> None:
                self.sock = module.HTTPConnection(server.host, server.port)._new_conn()

        class Pool(module.HTTPConnectionPool):  # type: ignore[name-defined, misc]
            def __init__(self) -> None:
                super().__init__("localhost")
                self.timeout = 60  # as docker does

            def _new_conn(self) -> Any:
                return Connection("localhost", timeout=self.timeout)

        with Pool() as pool:
            assert pool.urlopen("GET", "/?token=d", timeout=10).data == b"d"

    def test_steps_are_called_through_self(self, module: Any, scripted: Any) -> None:
        calls: list[str] = []

        class Pool(module.HTTPConnectionPool):  # type: ignore[name-defined, misc]
            def _get_conn(self, timeout: float | None = None) -> Any:
                calls.append(f"get {timeout}")
                return super()._get_conn(timeout=timeout)

            def _new_conn(self) -> Any:
                calls.append("new")
                return super()._new_conn()

            def _validate_conn(self, conn: Any) -> None:
                calls.append("validate")
                return super()._validate_conn(conn)

            def _make_request(self, conn: Any, method: str, url: str, **kw: Any) -> Any:
                calls.append(f"make {method} {url}")
                return super()._make_request(conn, method, url, **kw)

            def _put_conn(self, conn: Any) -> None:
                calls.append("put")
                return super()._put_conn(conn)

        server = scripted()
        with Pool(server.host, server.port, timeout=10) as pool:
            pool.urlopen("GET", "/a", pool_timeout=7)
        assert calls == ["get 7", "new", "make GET /a", "validate", "put"]

    def test_keywords_reach_the_connection_class(self, module: Any) -> None:
        class Connection(module.HTTPConnection):  # type: ignore[name-defined, misc]
            def __init__(self, *args: Any, _socks_options: Any = None, **kw: Any) -> None:
                super().__init__(*args, **kw)
                self.options = _socks_options

        class Pool(module.HTTPConnectionPool):  # type: ignore[name-defined, misc]
            ConnectionCls = Connection

        with Pool("localhost", _socks_options={"a": 1}) as pool:
            assert pool._new_conn().options == {"a": 1}

    def test_dropped_check_is_read_from_the_module(
        self, module: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = scripted()
        monkeypatch.setattr(module, "is_connection_dropped", lambda conn: True)
        with pool_for(module, server) as pool:
            pool.request("GET", "/")
            pool.request("GET", "/")
        assert server.connections() == 2


class TestTimeouts:
    def test_read_timeout_names_the_pool_and_the_seconds(
        self, impl: ModuleType, module: Any, scripted: Any
    ) -> None:
        server = scripted([Expect(), Stall()])
        with pool_for(module, server, retries=False) as pool:
            with pytest.raises(
                impl.exceptions.ReadTimeoutError, match=r"Read timed out\. \(read timeout=0\.1\)"
            ) as caught:
                pool.request("GET", "/", timeout=0.1)
            assert caught.value.pool is pool

    @pytest.mark.parametrize("bad", [0, -1, True, "soon"])
    def test_impossible_timeout_costs_no_connection(self, module: Any, bad: Any) -> None:
        with module.HTTPConnectionPool("localhost", maxsize=1, block=True) as pool:
            with pytest.raises(ValueError, match=r"[Tt]imeout"):
                pool.request("GET", "/", timeout=bad)
            assert pool.pool.qsize() == 1

    def test_one_and_true_are_not_the_same_timeout(self, ours: Any) -> None:
        with ours.HTTPConnectionPool("localhost") as pool:
            assert pool._clock(1) is pool._clock(1)
            assert str(pool._clock(1.0)) != str(pool._clock(1))
            with pytest.raises(ValueError, match="boolean"):
                pool._clock(True)

    def test_total_is_for_each_attempt_anew(
        self, impl: ModuleType, module: Any, scripted: Any
    ) -> None:
        server = scripted([Expect(), Pause(0.3), Close()], [Serve()])
        with pool_for(module, server) as pool:
            timeout = impl.util.Timeout(total=2)
            assert pool.request("GET", "/?token=t", timeout=timeout).data == b"t"
            assert pool.request("GET", "/?token=u", timeout=timeout).data == b"u"


class TestRetries:
    def test_get_is_repeated_after_a_lost_connection(
        self, module: Any, scripted: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = scripted([Expect(), Reset()], [Serve()])
        with pool_for(module, server) as pool:
            assert pool.request("GET", "/?token=g").data == b"g"
        warned = [r for r in caplog.records if r.levelno == logging.WARNING]
        assert "after connection broken by" in warned[0].getMessage()
        assert vars(warned[0])["__urllib3-retry-warning"] == {"host": server.host}

    def test_post_is_never_sent_twice(
        self, impl: ModuleType, module: Any, scripted: Any
    ) -> None:
        server = scripted([Expect(), Close()], [Serve()])
        with (
            pool_for(module, server) as pool,
            pytest.raises(impl.exceptions.ProtocolError, match="Connection aborted"),
        ):
            pool.request("POST", "/", body=b"once")
        assert len(server.requests) == 1

    def test_file_is_sent_from_where_it_stood(self, module: Any, scripted: Any) -> None:
        import io

        server = scripted([Expect(), Reset()], [Serve()])
        body = io.BytesIO(b"skip this, send that")
        body.seek(11)
        with pool_for(module, server) as pool:
            pool.request("PUT", "/", body=body)
        assert [request.body for request in server.requests] == [b"send that"] * 2

    def test_generator_is_not_repeated_empty(
        self, subject: ModuleType, ours: Any, scripted: Any
    ) -> None:
        server = scripted([Expect(), Reset()], [Serve()])
        with pool_for(ours, server) as pool:
            with pytest.raises(subject.exceptions.UnrewindableBodyError) as caught:
                pool.request("PUT", "/", body=(part for part in [b"a", b"b"]))
            assert "seekable" in caught.value.hint
            assert pool.pool.qsize() == 1
        assert len(server.requests) == 1

    def test_generator_is_sent_later_when_nothing_was_sent(
        self, subject: ModuleType, ours: Any, scripted: Any
    ) -> None:
        server = scripted()
        failures = [subject.exceptions.NewConnectionError(None, "not yet")]

        class Connection(ours.HTTPConnection):  # type: ignore[name-defined, misc]
            def connect(self) -> None:
                if failures:
                    raise failures.pop()
                super().connect()

        class Pool(ours.HTTPConnectionPool):  # type: ignore[name-defined, misc]
            ConnectionCls = Connection

        with Pool(server.host, server.port, timeout=10) as pool:
            pool.request("PUT", "/", body=(part for part in [b"a", b"b"]))
        assert server.requests[0].body == b"ab"

    def test_status_of_the_list_is_retried(
        self, impl: ModuleType, module: Any, scripted: Any
    ) -> None:
        server = scripted([Expect(), Send(reply(b"no", status="500 Oh")), Serve()])
        retries = impl.util.Retry(status=1, status_forcelist=[500])
        with pool_for(module, server) as pool:
            response = pool.request("GET", "/?token=s", retries=retries)
        assert response.data == b"s"
        assert [entry.status for entry in response.retries.history] == [500]

    def test_retry_after_is_respected_by_default(self, module: Any, scripted: Any) -> None:
        busy = reply(b"", "Retry-After: 0", status="503 Busy")
        server = scripted([Expect(), Send(busy), Serve()])
        with pool_for(module, server) as pool:
            assert pool.request("GET", "/?token=r").data == b"r"

    def test_own_is_retry_is_asked_about_every_status(
        self, impl: ModuleType, module: Any, scripted: Any
    ) -> None:
        asked: list[tuple[str, int, bool]] = []

        class Asking(impl.util.Retry):  # type: ignore[name-defined, misc]
            def is_retry(self, method: str, status: int, has_retry_after: bool = False) -> bool:
                asked.append((method, status, has_retry_after))
                return False

        server = scripted([Expect(), Send(reply(b"", "Retry-After: 1"))])
        with pool_for(module, server) as pool:
            pool.request("GET", "/", retries=Asking(1))
        assert asked == [("GET", 200, True)]


class TestRedirects:
    def test_within_the_host(self, module: Any, scripted: Any) -> None:
        server = scripted([Expect(), Send(redirect_to("/?token=there", body=b"moved")), Serve()])
        with pool_for(module, server) as pool:
            assert pool.request("GET", "/").data == b"there"
        assert server.connections() == 1

    def test_elsewhere_is_refused(self, impl: ModuleType, module: Any, scripted: Any) -> None:
        server = scripted([Expect(), Send(redirect_to("http://elsewhere.test/"))])
        with pool_for(module, server) as pool, pytest.raises(impl.exceptions.HostChangedError):
            pool.request("GET", "/")

    def test_303_drops_body_and_what_describes_it(self, module: Any, scripted: Any) -> None:
        server = scripted([Expect(), Send(redirect_to("/next", "303 See Other")), Serve()])
        headers = {"Content-Type": "text/plain", "X-Kept": "1"}
        with pool_for(module, server) as pool:
            pool.urlopen("POST", "/", body=[b"a"], chunked=True, headers=headers)
        second = server.requests[1]
        assert (second.method, second.body) == ("GET", b"")
        assert second.get("content-type") is second.get("transfer-encoding") is None
        assert second.get("x-kept") == "1"

    def test_307_repeats_the_body(self, module: Any, scripted: Any) -> None:
        server = scripted([Expect(), Send(redirect_to("/next", "307 Temporary")), Serve()])
        with pool_for(module, server) as pool:
            pool.urlopen("POST", "/", body=b"again")
        assert [(r.method, r.body) for r in server.requests] == [("POST", b"again")] * 2

    def test_307_does_not_repeat_a_generator_empty(
        self, subject: ModuleType, ours: Any, scripted: Any
    ) -> None:
        server = scripted([Expect(), Send(redirect_to("/next", "307 Temporary")), Serve()])
        with (
            pool_for(ours, server) as pool,
            pytest.raises(subject.exceptions.UnrewindableBodyError),
        ):
            pool.urlopen("POST", "/", body=iter([b"a"]))
        assert len(server.requests) == 1

    def test_switched_off_returns_the_3xx_with_its_body(self, module: Any, scripted: Any) -> None:
        server = scripted([Expect(), Send(redirect_to("/x", body=b"see there"))])
        with pool_for(module, server) as pool:
            response = pool.request("GET", "/", redirect=False)
            assert (response.status, response.data) == (302, b"see there")

    def test_too_many_without_raising_returns_the_3xx_with_its_body(
        self, impl: ModuleType, module: Any, scripted: Any
    ) -> None:
        server = scripted([Expect(), Send(redirect_to("/x", body=b"see there")), Serve()])
        retries = impl.util.Retry(redirect=0, raise_on_redirect=False)
        with pool_for(module, server) as pool:
            response = pool.request("GET", "/", retries=retries)
            assert (response.status, response.data) == (302, b"see there")
            assert pool.request("GET", "/?token=after").data == b"after"

    def test_endless_body_of_a_redirect_is_not_read(self, ours: Any, scripted: Any) -> None:
        head = b"HTTP/1.1 302 Found\r\nLocation: /?token=done\r\nContent-Length: 9000000000\r\n\r\n"
        server = scripted([Expect(), Send(head), Flood(b"x" * 65536)], [Serve()])
        with pool_for(ours, server) as pool:
            started = time.monotonic()
            assert pool.request("GET", "/").data == b"done"
        assert time.monotonic() - started < 5
        assert server.peers[0].sent < 32 * 1024 * 1024

    def test_two_targets_are_an_error(
        self, subject: ModuleType, ours: Any, scripted: Any
    ) -> None:
        two = reply(b"", "Location: /a", "Location: /b", status="302 Found")
        server = scripted([Expect(), Send(two), Serve()])
        with pool_for(ours, server) as pool:
            with pytest.raises(subject.exceptions.LocationParseError):
                pool.request("GET", "/")
            assert pool.request("GET", "/?token=after").data == b"after"


@pytest.fixture(params=["in the core", "hooked", "foreign response class"])
def reusing(request: pytest.FixtureRequest, ours: Any) -> Any:
    """A pool class whose connections are plain, or have a method or a response of their own."""
    if request.param == "in the core":
        return ours.HTTPConnectionPool

    class Hooked(ours.HTTPConnection):  # type: ignore[name-defined, misc]
        def putheader(self, header: str, *values: str) -> None:
            super().putheader(header, *values)

    if request.param == "foreign response class":
        Hooked.response_class = http.client.HTTPResponse

    class Pool(ours.HTTPConnectionPool):  # type: ignore[name-defined, misc]
        ConnectionCls = Hooked

    return Pool


class TestReuse:
    def test_connection_is_reused_after_chunks(self, module: Any, scripted: Any) -> None:
        body = reply(chunked(b"one", b"two"), "Transfer-Encoding: chunked")
        server = scripted([Expect(), Send(body), Serve()])
        with pool_for(module, server) as pool:
            assert pool.request("GET", "/").data == b"onetwo"
            assert pool.request("GET", "/?token=x").data == b"x"
            assert (pool.num_connections, pool.num_requests) == (1, 2)

    def test_unread_response_that_was_released_does_not_answer_the_next_request(
        self, reusing: Any, scripted: Any
    ) -> None:
        server = scripted([Expect(), Send(reply(b"left")), Serve()], [Serve()])
        with reusing(server.host, server.port, timeout=10) as pool:
            pool.urlopen("GET", "/", preload_content=False).release_conn()
            assert pool.request("GET", "/?token=mine", retries=False).data == b"mine"

    def test_own_connection_close_is_the_last_word(self, reusing: Any, scripted: Any) -> None:
        server = scripted()
        with reusing(server.host, server.port, timeout=10) as pool:
            pool.request("GET", "/?token=a", headers={"Connection": "close"})
            pool.request("GET", "/?token=b")
        assert server.connections() == 2

    def test_body_other_than_its_declared_length_ends_the_connection(
        self, reusing: Any, scripted: Any
    ) -> None:
        server = scripted([Expect(), Send(reply(b"ok")), Serve()], [Serve()])
        with reusing(server.host, server.port, timeout=10) as pool:
            pool.urlopen("POST", "/", body=b"abcdef", headers={"Content-Length": "3"})
            assert pool.request("GET", "/?token=b").data == b"b"
        assert server.connections() == 2

    def test_interrupt_closes_and_gives_the_slot_back(self, module: Any, scripted: Any) -> None:
        server = scripted()

        class Pool(module.HTTPConnectionPool):  # type: ignore[name-defined, misc]
            def _make_request(self, conn: Any, *args: Any, **kw: Any) -> Any:
                conn.connect()
                self.seen = conn
                raise KeyboardInterrupt

        with Pool(server.host, server.port, maxsize=1, block=True) as pool:
            with pytest.raises(KeyboardInterrupt):
                pool.request("GET", "/")
            assert pool.seen.is_closed
            assert pool.pool.qsize() == 1

    def test_interrupt_while_waiting_makes_no_slot(self, ours: Any) -> None:
        class Interrupted(queue.LifoQueue):  # type: ignore[type-arg]
            def get(self, *args: Any, **kw: Any) -> Any:
                raise KeyboardInterrupt

        with ours.HTTPConnectionPool("localhost", maxsize=1, block=True) as pool:
            usual, pool.pool = pool.pool, Interrupted(1)
            with pytest.raises(KeyboardInterrupt):
                pool.request("GET", "/")
            assert pool.pool.qsize() == 0
            pool.pool = usual


class TestNames:
    @pytest.mark.parametrize(
        ("url", "same"),
        [
            ("/path", True),
            ("http://Example.test/x", True),
            ("http://example.test:80/x", True),
            ("http://example.test:0/x", False),
            ("https://example.test/x", False),
            ("http://example.test:8080/x", False),
            ("http://other.test/x", False),
        ],
    )
    def test_same_host(self, module: Any, url: str, same: bool) -> None:
        with module.HTTPConnectionPool("example.test") as pool:
            assert pool.is_same_host(url) is same

    @pytest.mark.parametrize(
        ("url", "target"),
        [
            ("/a b", "/a%20b"),
            ("/a?q=%zz", "/a?q=%25zz"),
            ("/a#part", "/a"),
            ("/.well-known/../x", "/.well-known/../x"),
            ("/\u00e9?\u00e9", "/%C3%A9?%C3%A9"),
        ],
    )
    def test_target_on_the_wire(
        self, module: Any, scripted: Any, url: str, target: str
    ) -> None:
        server = scripted()
        with pool_for(module, server) as pool:
            pool.request("GET", url)
        assert server.requests[0].target == target

    def test_unverified_request_warns(
        self, impl: ModuleType, module: Any, scripted: Any, certificates: Any
    ) -> None:
        server = scripted(context=certificates.server.server_context())
        pool = module.HTTPSConnectionPool(
            server.host, server.port, timeout=10, cert_reqs="CERT_NONE"
        )
        expected = pytest.warns(impl.exceptions.InsecureRequestWarning, match="Unverified HTTPS")
        with pool, expected:
            assert pool.request("GET", "/?token=w").data == b"w"

    def test_untrusted_certificate_is_a_tls_error_with_advice(
        self, subject: ModuleType, ours: Any, scripted: Any, certificates: Any
    ) -> None:
        server = scripted(context=certificates.server.server_context())
        pool = ours.HTTPSConnectionPool(server.host, server.port, timeout=10, retries=False)
        with pool, pytest.raises(subject.exceptions.SSLError) as caught:
            pool.request("GET", "/")
        assert "ca_certs" in caught.value.hint


def test_connection_that_comes_back_while_the_pool_is_closed_is_closed_too(subject, caplog):
    """Neither FullPoolError nor the warning of a full pool: nobody misused anything."""
    from pool.util.queue import SlotQueue

    class Racing(SlotQueue):
        def put(self, item, block=True, timeout=None):
            pool.close()  # between the look at `pool.pool` and the put
            super().put(item, block, timeout)

    class Conn:
        closed = 0

        def close(self):
            self.closed += 1

    for block in (True, False):
        pool = subject.HTTPConnectionPool("localhost", maxsize=1, block=block)
        pool.pool = Racing(1, True)
        pool.pool.get()
        conn = Conn()
        pool._put_conn(conn)
        assert conn.closed
    assert not caplog.records
