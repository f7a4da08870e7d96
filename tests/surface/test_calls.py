"""Calling conventions, attributes and errors that packages count on."""

from __future__ import annotations

import gc
import http.client
import importlib
import inspect
import json
import pickle
import weakref
from types import ModuleType
from typing import Any

import pytest

from tests.support.scripted import Close, Expect, Reset, Send, Stall, chunked, reply


def test_requests_and_botocore_call_urlopen_by_keyword(impl: ModuleType, echo: Any) -> None:
    with impl.PoolManager(timeout=10) as manager:
        pool = manager.connection_from_url(echo.url())
        by_requests = pool.urlopen(
            method="POST",
            url="/inspect",
            body="text",
            headers={"A": "b"},
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            retries=impl.Retry(0, read=False),
            timeout=impl.Timeout(connect=3, read=4),
            chunked=False,
        )
        by_botocore = pool.urlopen(
            method="PUT",
            url="/inspect",
            body=b"data",
            headers={"Content-Length": b"4", b"X-Amz": b"y"},
            retries=impl.Retry(False),
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            chunked=None,
        )
        seen = [json.loads(answer.read()) for answer in (by_requests, by_botocore)]
    assert [(page["method"], page["body"]) for page in seen] == [("POST", "text"), ("PUT", "data")]
    assert ["X-Amz", "y"] in seen[1]["headers"]


def test_urlopen_by_position(impl: ModuleType, echo: Any) -> None:
    with impl.HTTPConnectionPool("127.0.0.1", echo.server_port) as pool:
        answer = pool.urlopen(
            "POST", "/inspect", b"x", {"A": "b"}, impl.Retry(1), False, True, 5.0, None, None, True
        )
    page = answer.json()
    assert ["Transfer-Encoding", "chunked"] in page["headers"]
    assert (page["body"], answer.retries.total) == ("x", 1)
    names = list(inspect.signature(impl.HTTPConnectionPool.urlopen).parameters)
    assert names[1:6] == ["method", "url", "body", "headers", "retries"]


def test_elastic_apm_and_botocore_mix_bytes_and_text_in_headers(
    impl: ModuleType, echo: Any
) -> None:
    headers = {b"Content-Type": "application/x-ndjson", "Expect-Not": b"x", b"Host": b"apm.test"}
    with impl.PoolManager(timeout=10) as manager:
        page = manager.request("POST", echo.url("/inspect"), headers=headers, body=b"{}").json()
    seen = dict(page["headers"])
    assert seen["Content-Type"] == "application/x-ndjson"
    assert seen["Expect-Not"] == "x"
    hosts = [value for name, value in page["headers"] if name.lower() == "host"]
    assert hosts == ["apm.test"]


def test_kubernetes_gives_empty_fields(impl: ModuleType, echo: Any) -> None:
    with impl.PoolManager(timeout=10) as manager:
        answer = manager.request("GET", echo.url("/inspect"), fields={}, headers={"A": "b"})
    assert answer.json()["target"] == "/inspect"


def test_callers_headers_are_left_alone(impl: ModuleType, echo: Any) -> None:
    headers = {"A": "b"}
    with impl.PoolManager(timeout=10) as manager:
        manager.request("POST", echo.url("/inspect"), headers=headers, json={})
    assert headers == {"A": "b"}


def test_agents_leave_attributes_on_everything(impl: ModuleType, scripted: Any) -> None:
    server = scripted()
    with impl.PoolManager(timeout=10) as manager:
        pool = manager.connection_from_url(server.url())
        response = pool.urlopen("GET", "/?token=a", preload_content=False)
        conn = response._connection
        for number, thing in enumerate((manager, pool, response, conn, impl.connectionpool)):
            thing._datadog_pin = number
            assert thing._datadog_pin == number
        assert response.read() == b"a"
        assert pool.urlopen("GET", "/?token=b").data == b"b"
        assert pool.pool.get()._datadog_pin == 3
        del impl.connectionpool._datadog_pin
    conn.close()


def test_managers_pools_and_connections_are_keys(impl: ModuleType, scripted: Any) -> None:
    server = scripted()
    with impl.PoolManager() as manager:
        pool = manager.connection_from_url(server.url())
        response = pool.urlopen("GET", "/?token=a", preload_content=False)
        conn = response._connection
        kept = {manager: 1, pool: 2, conn: 3}
        assert (kept[manager], kept[pool], kept[conn]) == (1, 2, 3)
        response.drain_conn()


def test_response_is_collected_while_somebody_watches(impl: ModuleType, scripted: Any) -> None:
    server = scripted()
    with impl.HTTPConnectionPool(server.host, server.port, timeout=10) as pool:
        response = pool.urlopen("GET", "/?token=a")
        watch = weakref.ref(response)
        assert watch() is response and response.data == b"a"
        del response
        gc.collect()
        assert watch() is None


def test_forgotten_pool_is_collected_and_its_connections_closed(
    impl: ModuleType, scripted: Any
) -> None:
    server = scripted()
    pool = impl.HTTPConnectionPool(server.host, server.port, timeout=10)
    pool.request("GET", "/?token=a")
    conn = pool.pool.get()
    pool.pool.put(conn)
    watch = weakref.ref(pool)
    del pool
    gc.collect()
    assert watch() is None
    assert conn.sock is None


def test_requests_pickles_its_retries(impl: ModuleType, echo: Any, token: Any) -> None:
    retries = impl.Retry(
        total=4, status_forcelist=[503], backoff_factor=0, allowed_methods={"GET", "POST"}
    )
    travelled = pickle.loads(pickle.dumps(retries))
    url = echo.url("/flaky", key=token(), times=1)
    with impl.PoolManager(retries=travelled, timeout=10) as manager:
        answer = manager.request("GET", url)
    assert (answer.data, answer.retries.total) == (b"2", 3)
    again = pickle.loads(pickle.dumps(answer.retries))
    assert again.history == answer.retries.history
    assert again.history[0].status == 503


# --- errors --------------------------------------------------------------------------------------


def failure(impl: ModuleType, server: Any, retries: Any = 0, **options: Any) -> Any:
    with impl.HTTPConnectionPool(server.host, server.port, timeout=0.5) as pool:
        with pytest.raises(impl.exceptions.HTTPError) as caught:
            pool.request("GET", "/x", retries=retries, **options)
        return caught.value


def test_pip_reads_pool_url_and_reason_of_a_failure(impl: ModuleType, scripted: Any) -> None:
    server = scripted([Expect(), Close()])
    error = failure(impl, server)
    assert type(error) is impl.exceptions.MaxRetryError
    assert (error.pool.host, error.pool.port, error.url) == (server.host, server.port, "/x")
    assert error.pool.proxy is None
    assert type(error.reason) is impl.exceptions.ProtocolError
    assert isinstance(error.__cause__, impl.exceptions.ProtocolError)


def test_ytdlp_finds_the_lost_connection_below(impl: ModuleType, scripted: Any) -> None:
    error = failure(impl, scripted([Expect(), Close()]), retries=False)
    assert type(error) is impl.exceptions.ProtocolError
    assert error.args[0] == "Connection aborted."
    assert isinstance(error.args[1], http.client.RemoteDisconnected)
    assert isinstance(error.__context__ or error.__cause__, ConnectionResetError)


def test_locust_finds_the_reset_below(impl: ModuleType, scripted: Any) -> None:
    error = failure(impl, scripted([Expect(), Reset()]), retries=False)
    assert type(error) is impl.exceptions.ProtocolError
    assert isinstance(error.args[1], ConnectionResetError)


@pytest.mark.parametrize("pieces", [False, True])
def test_clickhouse_finds_what_is_missing_of_a_body(
    impl: ModuleType, scripted: Any, pieces: bool
) -> None:
    server = scripted([Expect(), Send(reply(b"x" * 10, "Content-Length: 15")), Close()])
    with impl.HTTPConnectionPool(server.host, server.port, timeout=5, retries=False) as pool:
        with pytest.raises(impl.exceptions.ProtocolError) as caught:
            b"".join(pool.urlopen("GET", "/", preload_content=not pieces).stream(4))
    below = caught.value.args[1]
    assert isinstance(below, http.client.IncompleteRead)
    assert below.expected == 5
    if pieces:
        assert isinstance(below, impl.exceptions.IncompleteRead)
        assert below.partial == 10
    assert caught.value.__cause__ is below


@pytest.mark.parametrize("preload", [True, False])
def test_clickhouse_finds_what_is_missing_of_a_chunk(
    impl: ModuleType, scripted: Any, preload: bool
) -> None:
    cut = reply(b"", "Transfer-Encoding: chunked") + chunked(b"one", b"two")[:-7]
    server = scripted([Expect(), Send(cut), Close()])
    with impl.HTTPConnectionPool(server.host, server.port, timeout=5, retries=False) as pool:
        with pytest.raises(impl.exceptions.ProtocolError) as caught:
            b"".join(pool.urlopen("GET", "/", preload_content=preload).stream(100))
    assert "IncompleteRead" in str(caught.value) or "prematurely" in str(caught.value)


def test_refused_connection_is_a_connect_timeout_to_who_tells_them_apart(
    impl: ModuleType, scripted: Any
) -> None:
    errors = impl.exceptions
    server = scripted()
    server.stop()
    error = failure(impl, server)
    assert isinstance(error.reason, errors.NewConnectionError)
    assert isinstance(error.reason, errors.ConnectTimeoutError)
    assert isinstance(error.reason.__cause__, ConnectionRefusedError)


def test_timeout_of_reading_names_its_seconds(impl: ModuleType, scripted: Any) -> None:
    error = failure(impl, scripted([Expect(), Stall()]), retries=False, timeout=0.1)
    assert type(error) is impl.exceptions.ReadTimeoutError
    assert error.url == "/x" and "read timeout=0.1" in str(error)


def test_requests_and_clickhouse_derive_from_http_error(impl: ModuleType) -> None:
    """Together with OSError: the layouts have to go together."""
    base = impl.exceptions.HTTPError

    class RequestException(OSError):
        pass

    class ContentDecodingError(RequestException, base):  # type: ignore[misc, valid-type]
        pass

    class Incomplete(base):  # type: ignore[misc, valid-type]
        pass

    for cls in (ContentDecodingError, Incomplete):
        error = cls("text")
        error.extra = 1
        assert isinstance(error, base) and str(error) == "text"


def test_log_record_has_the_format_that_ytdlp_filters_on(
    impl: ModuleType, scripted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = scripted()
    with caplog.at_level("DEBUG", logger="urllib3"):
        with impl.HTTPConnectionPool(server.host, server.port, timeout=10) as pool:
            pool.request("GET", "/?token=ab")
    records = {record.msg: record for record in caplog.records}
    record = records['%s://%s:%s "%s %s %s" %s %s']
    assert record.name == "urllib3.connectionpool"
    assert record.args == (
        "http", server.host, server.port, "GET", "/?token=ab", "HTTP/1.1", 200, 0
    )  # fmt: skip


def test_responses_mocks_urlopen_of_the_manager_with_autospec(impl: ModuleType) -> None:
    from unittest import mock

    poolmanager = importlib.import_module(f"{impl.__name__}.poolmanager")
    with mock.patch.object(poolmanager.PoolManager, "urlopen", autospec=True) as urlopen:
        urlopen.return_value = "answer"
        manager = impl.PoolManager()
        assert manager.request("GET", "http://example.test/") == "answer"
    args = urlopen.call_args.args
    assert args[0] is manager and args[1:] == ("GET", "http://example.test/")
