"""Subclasses as packages write them: what they override is called, what they set is used."""

from __future__ import annotations

import functools
import http.client
import socket
import ssl
import threading
from types import ModuleType
from typing import Any

import pytest

from tests.support.scripted import Expect, Pause, Send, reply

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


# --- botocore --------------------------------------------------------------------------------


class StatusReadBefore(http.client.HTTPResponse):
    """A response whose status line the connection has read already."""

    def __init__(self, *args: Any, status: Any, **kwargs: Any) -> None:
        self._status = status
        super().__init__(*args, **kwargs)

    def _read_status(self) -> Any:
        if self._status is not None:
            status, self._status = self._status, None
            return status
        return super()._read_status()  # type: ignore[misc]


class ExpectsContinue:
    """botocore's mixin: gathers the head itself, and waits for 100 before it sends a body."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._usual_class = self.response_class  # type: ignore[has-type]
        self._forget()

    def _forget(self) -> None:
        self.answered = self.expecting = False
        self.response_class = self._usual_class

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        self._forget()

    def request(
        self, method: str, url: str, body: Any = None, headers: Any = None, *a: Any, **k: Any
    ) -> Any:
        self._forget()
        self.expecting = (headers or {}).get("Expect", b"") == b"100-continue"
        return super().request(method, url, body, headers or {}, *a, **k)  # type: ignore[misc]

    def _send_output(self, message_body: Any = None, *args: Any, **kwargs: Any) -> None:
        lines = [
            line.encode() if isinstance(line, str) else line
            for line in self._buffer  # type: ignore[attr-defined]
        ]
        del self._buffer[:]  # type: ignore[attr-defined]
        message = b"\r\n".join([*lines, b"", b""])
        if isinstance(message_body, bytes):
            message += message_body
            message_body = None
        self.send(message)
        if self.expecting:
            self._await_continue()
        if message_body is not None:
            self.send(message_body)

    def _await_continue(self) -> None:
        with self.sock.makefile("rb", 0) as reader:  # type: ignore[attr-defined]
            version, code, *reason = reader.readline().split(None, 2)
            if code == b"100":
                while reader.readline() not in (b"\r\n", b""):
                    pass
                return
        status = (version.decode(), int(code), reason[0].decode() if reason else "")
        self.response_class = functools.partial(StatusReadBefore, status=status)
        self.answered = True

    def send(self, data: Any) -> None:
        if not self.answered:
            super().send(data)  # type: ignore[misc]


@pytest.fixture
def aws_pool(impl: ModuleType) -> Any:
    class AWSHTTPConnection(
        ExpectsContinue,
        impl.connection.HTTPConnection,  # type: ignore[misc, name-defined]
    ):
        pass

    class AWSHTTPConnectionPool(
        impl.connectionpool.HTTPConnectionPool  # type: ignore[misc, name-defined]
    ):
        ConnectionCls = AWSHTTPConnection

    return AWSHTTPConnectionPool


PUT = {"headers": {"Expect": b"100-continue", "Content-Length": "4"}, "retries": False}


def test_botocore_sends_the_body_after_100(aws_pool: Any, scripted: Any) -> None:
    server = scripted([Expect(with_body=False), Send(CONTINUE), Expect_body(4), Send(reply(b"ok"))])
    with aws_pool(server.host, server.port, timeout=10) as pool:
        assert pool.urlopen("PUT", "/", body=b"data", **PUT).data == b"ok"
        assert pool.urlopen("GET", "/?token=a").data == b"a"
    assert server.connections() == 1


def test_botocore_sends_no_body_after_an_early_answer(aws_pool: Any, scripted: Any) -> None:
    answer = reply(b"no", status="403 Forbidden")
    server = scripted([Expect(with_body=False), Send(answer), Pause(0.05)], [])
    with aws_pool(server.host, server.port, timeout=10) as pool:
        response = pool.urlopen("PUT", "/", body=b"data", **PUT)
        assert (response.status, response.reason, response.data) == (403, "Forbidden", b"no")
        assert pool.urlopen("GET", "/?token=next").data == b"next"
        conn = pool._get_conn()
        assert not isinstance(conn.response_class, functools.partial)
        pool._put_conn(conn)


def test_botocore_sends_each_piece_of_a_body_through_send(aws_pool: Any, scripted: Any) -> None:
    server = scripted([Expect(), Send(reply(b"ok"))])
    with aws_pool(server.host, server.port, timeout=10) as pool:
        pieces = iter([b"one", b"two"])
        assert pool.urlopen("PUT", "/", body=pieces, headers={}).data == b"ok"
    assert server.requests[0].body == b"onetwo"
    assert server.requests[0].get("transfer-encoding") == "chunked"


class Expect_body:
    """Take the bytes of a body whose head was received before."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, peer: Any) -> None:
        assert peer.take(self.length) == b"data"


def test_botocore_sets_proxy_headers_and_certificates_after_construction(
    impl: ModuleType, nginx: Any
) -> None:
    """requests' cert_verify and locust do the same with the pool's attributes."""
    with impl.HTTPSConnectionPool("127.0.0.1", nginx.port("tls"), timeout=10) as pool:
        with pytest.raises(impl.exceptions.MaxRetryError):
            pool.request("GET", "/echo?token=a", retries=0)
        pool.cert_reqs = "CERT_REQUIRED"
        pool.ca_certs = str(nginx.ca)
        assert pool.request("GET", "/echo?token=b").data == b"b"
        pool.proxy_headers["host"] = "example.test"
        assert pool.proxy_headers == {"host": "example.test"}


# --- elastic-transport -------------------------------------------------------------------------


def elastic_pool(impl: ModuleType, fingerprints: list[bytes]) -> Any:
    class Connection(impl.connection.HTTPSConnection):  # type: ignore[misc, name-defined]
        _elastic_assert_fingerprint = None

        def connect(self) -> None:
            super().connect()
            self.is_verified = True

    class Pool(impl.connectionpool.HTTPSConnectionPool):  # type: ignore[misc, name-defined]
        ConnectionCls = Connection

        def __init__(self, *args: Any, assert_fingerprint: str, **kwargs: Any) -> None:
            self._fingerprint = assert_fingerprint
            super().__init__(*args, **{**kwargs, "assert_hostname": False})

        def _new_conn(self) -> Any:
            conn = super()._new_conn()
            conn._elastic_assert_fingerprint = self._fingerprint
            return conn

        def _validate_conn(self, conn: Any) -> None:
            super()._validate_conn(conn)
            certificate = conn.sock.getpeercert(True)
            fingerprints.append(certificate)
            assert conn.sock._sslobj is not None
            import hashlib

            if hashlib.sha256(certificate).hexdigest() != conn._elastic_assert_fingerprint:
                raise impl.exceptions.SSLError("not the pinned certificate")

    return Pool


def test_elastic_transport_checks_the_certificate_itself(
    impl: ModuleType, nginx: Any, certificates: Any, recwarn: pytest.WarningsRecorder
) -> None:
    seen: list[bytes] = []
    options = {"cert_reqs": "CERT_NONE", "timeout": 10, "retries": False}
    good = certificates.server.fingerprint()
    cls = elastic_pool(impl, seen)
    with cls("127.0.0.1", nginx.port("tls"), assert_fingerprint=good, **options) as pool:
        for token in ("a", "b"):
            assert pool.request("GET", f"/echo?token={token}").data == token.encode()
    assert seen == [certificates.server.der] * 2
    assert not recwarn.list
    with cls("127.0.0.1", nginx.port("tls"), assert_fingerprint="00", **options) as pool:
        with pytest.raises(impl.exceptions.SSLError, match="not the pinned"):
            pool.request("GET", "/")


def test_elastic_transport_puts_its_pools_into_the_table_of_all_managers(
    impl: ModuleType, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RequestsHttpNode changes the dict in place, and the module's is the one it changes."""
    server = scripted()

    class Pool(impl.connectionpool.HTTPConnectionPool):  # type: ignore[misc, name-defined]
        pass

    with impl.PoolManager() as manager:
        table = impl.poolmanager.pool_classes_by_scheme
        assert manager.pool_classes_by_scheme is table
        monkeypatch.setitem(manager.pool_classes_by_scheme, "http", Pool)
        with impl.PoolManager(timeout=10) as other:
            assert type(other.connection_from_url(server.url())) is Pool
            assert other.request("GET", server.url("/?token=a")).data == b"a"


# --- yt-dlp ------------------------------------------------------------------------------------


def socks_manager(impl: ModuleType, opened: list[Any]) -> Any:
    class SocksHTTPConnection(impl.connection.HTTPConnection):  # type: ignore[misc, name-defined]
        def __init__(self, _socks_options: Any, *args: Any, **kwargs: Any) -> None:
            self._proxy_args = _socks_options
            super().__init__(*args, **kwargs)

        def _new_conn(self) -> Any:
            opened.append((self.host, self.port, self.timeout, self.source_address))
            options = self._proxy_args
            return socket.create_connection((options["addr"], options["port"]), self.timeout)

    class SocksHTTPSConnection(
        SocksHTTPConnection,
        impl.connection.HTTPSConnection,  # type: ignore[misc, name-defined]
    ):
        pass

    class SocksHTTPConnectionPool(
        impl.connectionpool.HTTPConnectionPool  # type: ignore[misc, name-defined]
    ):
        ConnectionCls = SocksHTTPConnection

    class SocksHTTPSConnectionPool(
        impl.connectionpool.HTTPSConnectionPool  # type: ignore[misc, name-defined]
    ):
        ConnectionCls = SocksHTTPSConnection

    class SocksProxyManager(impl.PoolManager):  # type: ignore[misc, name-defined]
        def __init__(self, options: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs, _socks_options=options)
            self.pool_classes_by_scheme = {
                "http": SocksHTTPConnectionPool,
                "https": SocksHTTPSConnectionPool,
            }

    return SocksProxyManager


@pytest.mark.parametrize("site", ["plain", "tls"])
def test_ytdlp_opens_the_socket_itself(impl: ModuleType, nginx: Any, site: str) -> None:
    """The socket comes from _new_conn(); TLS is ours, on top of it."""
    opened: list[Any] = []
    options = {"addr": "127.0.0.1", "port": nginx.port(site)}
    cls = socks_manager(impl, opened)
    with cls(options, ca_certs=str(nginx.ca), timeout=7) as manager:
        scheme = "https" if site == "tls" else "http"
        for token in ("a", "b"):
            # A port where nobody listens: only the manager's own way leads there.
            url = f"{scheme}://localhost:9/echo?token={token}"
            assert manager.request("GET", url, retries=False).data == token.encode()
    assert opened == [("localhost", 9, 7, None)]


def test_ytdlp_raises_our_errors_from_its_own_connection(impl: ModuleType) -> None:
    class Connection(impl.connection.HTTPConnection):  # type: ignore[misc, name-defined]
        def _new_conn(self) -> Any:
            raise impl.exceptions.ProxyError("socks said no", OSError("no"))

    class Pool(impl.connectionpool.HTTPConnectionPool):  # type: ignore[misc, name-defined]
        ConnectionCls = Connection

    with Pool("localhost", 9, timeout=1) as pool:
        with pytest.raises(impl.exceptions.ProxyError, match="socks said no"):
            pool.request("GET", "/", retries=False)


# --- tencentcloud ------------------------------------------------------------------------------


def test_tencentcloud_connects_before_the_first_request(impl: ModuleType, scripted: Any) -> None:
    server = scripted()
    contexts: list[Any] = []

    class PreConnPool(impl.connectionpool.HTTPConnectionPool):  # type: ignore[misc, name-defined]
        def __init__(self, host: str, port: int, **kwargs: Any) -> None:
            super().__init__(host, port, **kwargs)
            while not self.pool.empty():
                self.pool.get()
            self.workers = [threading.Thread(target=self._connect) for _ in range(2)]
            for worker in self.workers:
                worker.start()

        def _connect(self) -> None:
            conn = super()._new_conn()
            conn.connect()
            self.pool.put(conn)

    class PreConnPoolManager(impl.PoolManager):  # type: ignore[misc, name-defined]
        def _new_pool(self, scheme: str, host: str, port: int, request_context: Any = None) -> Any:
            contexts.append((scheme, host, port, sorted(request_context)))
            return PreConnPool(host, port, maxsize=4, timeout=10)

    with PreConnPoolManager() as manager:
        pool = manager.connection_from_url(server.url())
        for worker in pool.workers:
            worker.join(5)
        assert pool.pool.qsize() == 2
        for token in ("a", "b", "c"):
            assert manager.request("GET", server.url(f"/?token={token}")).data == token.encode()
    assert server.connections() == 2
    assert contexts[0][:3] == ("http", server.host, server.port)
    assert {"scheme", "host", "port"} <= set(contexts[0][3])


# --- vcrpy -------------------------------------------------------------------------------------


def stub_connection(impl: ModuleType, played: Any) -> Any:
    """A connection whose base __init__ never runs, and that forwards to a real one."""

    class Answer:
        def __init__(self, body: bytes) -> None:
            self.status, self.reason, self.version, self.version_string = 200, "OK", 11, "HTTP/1.1"
            self.headers = impl.HTTPHeaderDict({"Content-Length": str(len(body))})
            self.msg = self.headers
            self.length_remaining = len(body)
            self.body = body
            self.released = 0

        @property
        def data(self) -> bytes:
            return self.body

        def get_redirect_location(self) -> Any:
            return False

        def drain_conn(self) -> None:
            pass

        def release_conn(self) -> None:
            self.released += 1

    class Stub(impl.connection.HTTPConnection):  # type: ignore[misc, name-defined]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.__dict__["real_connection"] = impl.connection.HTTPConnection(*args, **kwargs)
            self.__dict__["wanted"] = None

        def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
            self.__dict__["wanted"] = (method, url, kwargs.get("body"))

        def getresponse(self, *args: Any, **kwargs: Any) -> Any:
            return Answer(played[self.wanted])

        def connect(self) -> None:
            pass

        def close(self) -> None:
            self.real_connection.close()

        @property
        def sock(self) -> Any:
            return self.real_connection.sock or self

        @sock.setter
        def sock(self, value: Any) -> None:
            self.real_connection.sock = value

        def __setattr__(self, name: str, value: Any) -> None:
            setattr(self.real_connection, name, value)
            self.__dict__[name] = value

        def __getattr__(self, name: str) -> Any:
            return getattr(self.__dict__["real_connection"], name)

    return Stub


@pytest.mark.parametrize("maxsize", [1, 3])
def test_vcrpy_plays_answers_without_a_connection(
    impl: ModuleType, monkeypatch: pytest.MonkeyPatch, maxsize: int
) -> None:
    played = {("GET", "/a", None): b"first", ("POST", "/b", b"x"): b"second"}
    cls = stub_connection(impl, played)
    monkeypatch.setattr(impl.connectionpool.HTTPConnectionPool, "ConnectionCls", cls)
    monkeypatch.setattr(impl.connectionpool, "is_connection_dropped", lambda conn: False)
    with impl.HTTPConnectionPool("example.test", timeout=1, maxsize=maxsize) as pool:
        for _ in range(2):
            response = pool.urlopen("GET", "/a")
            assert response.data == b"first"
            assert response._pool is pool
            assert response.retries.total == 3
        assert pool.urlopen("POST", "/b", body=b"x", headers={}).data == b"second"


def test_vcrpy_stub_answers_the_questions_of_the_base_class(impl: ModuleType) -> None:
    conn = stub_connection(impl, {})("example.test", 81)
    assert conn.host == "example.test" and conn.port == 81
    assert not conn.has_connected_to_proxy
    assert not conn.proxy_is_forwarding and not conn.proxy_is_tunneling
    assert conn.is_closed is False
    assert repr(conn)


# --- influxdb, google-auth ---------------------------------------------------------------------


def test_influxdb_retry_is_asked_through_its_own_methods(
    impl: ModuleType, echo: Any, token: Any
) -> None:
    asked: list[str] = []

    class WritesRetry(impl.Retry):  # type: ignore[misc, name-defined]
        def __init__(self, jitter_interval: int = 0, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.jitter_interval = jitter_interval

        def new(self, **kwargs: Any) -> Any:
            kwargs.setdefault("jitter_interval", self.jitter_interval)
            return super().new(**kwargs)

        def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
            asked.append(f"is_retry {status_code} {has_retry_after}")
            return super().is_retry(method, status_code, has_retry_after)

        def get_backoff_time(self) -> float:
            asked.append("backoff")
            return 0

        def get_retry_after(self, response: Any) -> Any:
            asked.append(f"retry_after {response.status}")
            return super().get_retry_after(response)

        def increment(
            self,
            method: Any = None,
            url: Any = None,
            response: Any = None,
            error: Any = None,
            _pool: Any = None,
            _stacktrace: Any = None,
        ) -> Any:
            asked.append("increment")
            return super().increment(method, url, response, error, _pool, _stacktrace)

    retries = WritesRetry(jitter_interval=5, total=5, status_forcelist=[503], allowed_methods=None)
    url = echo.url("/flaky", key=token(), times=2)
    with impl.PoolManager(retries=retries, timeout=10) as manager:
        response = manager.request("POST", url, body=b"point")
    assert response.data == b"3"
    assert type(response.retries) is WritesRetry
    assert (response.retries.total, response.retries.jitter_interval) == (3, 5)
    failure = ["is_retry 503 False", "increment", "retry_after 503", "backoff"]
    assert asked == [*failure, *failure, "is_retry 200 False"]


def test_google_auth_sends_through_its_own_urlopen(impl: ModuleType, echo: Any) -> None:
    class AuthorizedHttp(impl._request_methods.RequestMethods):  # type: ignore[misc, name-defined]
        def __init__(self, http: Any) -> None:
            self.http = http
            super().__init__()

        def urlopen(
            self, method: str, url: str, body: Any = None, headers: Any = None, **kwargs: Any
        ) -> Any:
            headers = dict(self.headers if headers is None else headers)
            headers["authorization"] = "Bearer token"
            return self.http.urlopen(method, url, body=body, headers=headers, **kwargs)

    with impl.PoolManager(timeout=10) as manager:
        authorized = AuthorizedHttp(manager)
        got = authorized.request("GET", echo.url("/inspect"), fields={"a": "b"}).json()
        posted = authorized.request("POST", echo.url("/inspect"), fields={"a": "b"}).json()
        as_json = authorized.request("PUT", echo.url("/inspect"), json={"a": 1}).json()
    assert got["target"] == "/inspect?a=b"
    assert 'name="a"' in posted["body"]
    assert as_json["body"] == '{"a":1}'
    for page in (got, posted, as_json):
        headers = {name.lower(): value for name, value in page["headers"]}
        assert headers["authorization"] == "Bearer token"


# --- several -----------------------------------------------------------------------------------


def test_socket_set_by_a_tls_connect_of_its_own_is_used(
    impl: ModuleType, nginx: Any, certificates: Any
) -> None:
    """pyspnego and others: connect() does the TLS itself and sets `sock`, nothing else."""

    class Connection(impl.connection.HTTPSConnection):  # type: ignore[misc, name-defined]
        def connect(self) -> None:
            context = ssl.create_default_context(cafile=certificates.ca)
            plain = socket.create_connection((self.host, self.port), self.timeout)
            self.sock = context.wrap_socket(plain, server_hostname=self.host)
            self.is_verified = True

    class Pool(impl.connectionpool.HTTPSConnectionPool):  # type: ignore[misc, name-defined]
        ConnectionCls = Connection

    with Pool("127.0.0.1", nginx.port("tls"), timeout=10) as pool:
        for token in ("a", "b"):
            assert pool.request("GET", f"/echo?token={token}").data == token.encode()
        assert pool.num_connections == 1


def test_error_of_an_overridden_validation_goes_to_the_caller(
    impl: ModuleType, scripted: Any
) -> None:
    class Pool(impl.connectionpool.HTTPConnectionPool):  # type: ignore[misc, name-defined]
        def _validate_conn(self, conn: Any) -> None:
            raise impl.exceptions.SSLError("refused")

    server = scripted()
    with Pool(server.host, server.port, maxsize=1, block=True, timeout=10) as pool:
        for _ in range(2):  # the slot comes back, or the second would wait
            with pytest.raises(impl.exceptions.MaxRetryError) as caught:
                pool.request("GET", "/", retries=0, pool_timeout=1)
            assert isinstance(caught.value.reason, impl.exceptions.SSLError)
