"""Attributes that the core reads by their place are attributes like all others.

They can be set, deleted, patched and hidden by a subclass, at any time; what a request does
follows them as it does in urllib3.
"""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

import pool

POOL = ("pool", "block", "retries", "proxy", "proxy_headers", "num_requests")
CONNECTION = ("sock", "timeout")
MANAGER = ("pools", "connection_pool_kw", "key_fn_by_scheme")


def pool_of(module: ModuleType, echo: Any, **kw: Any) -> Any:
    return module.HTTPConnectionPool(*echo.server_address, timeout=10, **kw)


@pytest.fixture
def owners(impl: ModuleType, echo: Any) -> Any:
    with pool_of(impl, echo) as first, impl.PoolManager() as manager:
        assert first.request("GET", "/echo").status == 200
        conn = first._get_conn()
        yield {"pool": first, "connection": conn, "manager": manager}
        conn.close()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        *(("pool", name) for name in POOL),
        *(("connection", name) for name in CONNECTION),
        *(("manager", name) for name in MANAGER),
    ],
)
class TestAttribute:
    def test_patched_for_a_while(self, owners: Any, owner: str, name: str) -> None:
        target = owners[owner]
        before = getattr(target, name)
        with mock.patch.object(target, name, "something else"):
            assert getattr(target, name) == "something else"
        assert getattr(target, name) is before

    def test_deleted_and_set_again(self, owners: Any, owner: str, name: str) -> None:
        target = owners[owner]
        before = getattr(target, name)
        delattr(target, name)
        assert not hasattr(target, name)
        setattr(target, name, before)
        assert getattr(target, name) is before


@pytest.mark.parametrize("name", ["retries", "pool", "block"])
def test_request_on_a_pool_without_the_attribute(impl: ModuleType, echo: Any, name: str) -> None:
    with pool_of(impl, echo) as origin:
        origin.request("GET", "/echo")
        before = getattr(origin, name)
        delattr(origin, name)
        with pytest.raises(AttributeError, match=name):
            origin.request("GET", "/echo")
        setattr(origin, name, before)
        assert origin.request("GET", "/echo").status == 200


def test_property_of_a_subclass_hides_the_retries(impl: ModuleType, echo: Any) -> None:
    asked: list[str] = []

    class Own(impl.HTTPConnectionPool):  # type: ignore[misc,name-defined]
        @property
        def retries(self) -> Any:
            asked.append("retries")
            return impl.Retry(0)

        @retries.setter
        def retries(self, value: Any) -> None:
            pass

    with Own(*echo.server_address, timeout=10) as origin:
        assert origin.request("GET", "/echo").status == 200
    assert asked


def test_property_put_into_the_class_between_two_requests(
    impl: ModuleType, echo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []

    class Own(impl.HTTPConnectionPool):  # type: ignore[misc,name-defined]
        pass

    with Own(*echo.server_address, timeout=10) as origin:
        for _ in range(3):
            assert origin.request("GET", "/echo").status == 200
        watched = property(lambda self: 40, lambda self, value: counts.append(value))
        monkeypatch.setattr(Own, "num_requests", watched, raising=False)
        assert origin.request("GET", "/echo").status == 200
    assert counts == [41]


def test_timeout_of_a_subclass_of_connections(impl: ModuleType, echo: Any) -> None:
    given: list[Any] = []
    usual = impl.HTTPConnectionPool.ConnectionCls

    class Own(usual):  # type: ignore[misc,valid-type]
        @property
        def timeout(self) -> Any:
            return given[-1]

        @timeout.setter
        def timeout(self, value: Any) -> None:
            given.append(value)

    with pool_of(impl, echo) as origin:
        origin.ConnectionCls = Own
        assert origin.request("GET", "/echo", timeout=7).status == 200
    assert 7 in given


def test_pool_closed_by_taking_its_queue_away(impl: ModuleType, echo: Any) -> None:
    with pool_of(impl, echo) as origin:
        origin.request("GET", "/echo")
        origin.pool = None
        with pytest.raises(impl.exceptions.ClosedPoolError):
            origin.request("GET", "/echo")


def test_keywords_of_the_pools_exchanged_between_two_requests(impl: ModuleType, echo: Any) -> None:
    host, port = echo.server_address
    with impl.PoolManager(maxsize=3) as manager:
        url = f"http://{host}:{port}/echo"
        manager.request("GET", url)
        first = manager.connection_from_url(url)
        manager.connection_pool_kw = {"maxsize": 5}
        assert manager.request("GET", url).status == 200
        assert manager.connection_from_url(url) is not first
        assert first.num_requests == 1


def test_keyword_of_the_pools_renamed_between_two_requests(impl: ModuleType, echo: Any) -> None:
    host, port = echo.server_address
    with impl.PoolManager(cert_file=None) as manager:
        url = f"http://{host}:{port}/echo"
        manager.request("GET", url)
        first = manager.connection_from_url(url)
        del manager.connection_pool_kw["cert_file"]
        manager.connection_pool_kw["source_address"] = None
        manager.connection_pool_kw["block"] = True
        assert manager.request("GET", url).status == 200
        assert manager.connection_from_url(url) is not first


def test_statuses_for_retry_after_set_on_the_policy(impl: ModuleType, echo: Any) -> None:
    policy = impl.Retry(1, redirect=False)
    policy.RETRY_AFTER_STATUS_CODES = frozenset({200})
    asked: list[str] = []
    usual = impl.Retry.is_retry
    with pool_of(impl, echo) as origin:
        policy.is_retry = lambda *args: asked.append(args[0]) or usual(policy, *args)
        assert origin.request("GET", "/echo", retries=policy).status == 200
    assert asked == ["GET"]


def test_method_that_goes_into_the_url_by_order_of_the_program(
    impl: ModuleType, echo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def spy(self: Any, method: str, url: str, **kw: Any) -> Any:
        calls.append(method)
        return impl.HTTPConnectionPool.urlopen(self, method, url)

    with pool_of(impl, echo) as origin:
        origin.request("GET", "/echo")
        monkeypatch.setattr(origin, "_encode_url_methods", {"POST"}, raising=False)
        monkeypatch.setattr(type(origin), "request_encode_url", spy, raising=True)
        assert origin.request("post", "/echo").status == 200
    assert calls == ["POST"]


def test_managers_configuration_travels(echo: Any) -> None:
    host, port = echo.server_address
    manager = pool.PoolManager(maxsize=7, headers={"a": "b"})
    for twin in (pickle.loads(pickle.dumps(manager)), copy.copy(manager)):
        assert twin.connection_pool_kw["maxsize"] == 7
        assert twin.headers == {"a": "b"}
        assert twin.request("GET", f"http://{host}:{port}/echo").status == 200


def test_count_that_was_read_stays_what_it_was(impl: ModuleType, echo: Any) -> None:
    with pool_of(impl, echo) as origin:
        origin.num_requests = int("100000")  # no constant, and none that CPython shares
        read = []
        for _ in range(3):
            assert origin.request("GET", "/echo").status == 200
            assert origin.request("GET", "/echo").status == 200
            read.append(origin.num_requests)
        assert read == [100002, 100004, 100006]


@pytest.mark.parametrize("start", [-7, -1, 0, 255, 2**15 - 2, 2**30 - 2, 2**31, 2**60 - 1, 2**70])
def test_count_from_anywhere(impl: ModuleType, echo: Any, start: int) -> None:
    with pool_of(impl, echo) as origin:
        origin.num_requests = int(str(start))
        for _ in range(4):
            assert origin.request("GET", "/echo").status == 200
        assert origin.num_requests == start + 4


@pytest.mark.parametrize("start", [1.5, True])
def test_count_that_is_no_int(impl: ModuleType, echo: Any, start: Any) -> None:
    with pool_of(impl, echo) as origin:
        origin.num_requests = start
        for _ in range(2):
            assert origin.request("GET", "/echo").status == 200
        assert origin.num_requests == start + 2


def test_connection_that_says_it_is_false(echo: Any) -> None:
    made: list[Any] = []

    class Own(pool.HTTPConnectionPool.ConnectionCls):
        def __init__(self, *args: Any, **kw: Any) -> None:
            super().__init__(*args, **kw)
            made.append(self)

    with pool_of(pool, echo) as origin:
        origin.ConnectionCls = Own
        for _ in range(2):
            assert origin.request("GET", "/echo").status == 200
        assert len(made) == 1
        Own.__bool__ = lambda self: False  # type: ignore[attr-defined]
        assert origin.request("GET", "/echo").status == 200
        assert len(made) == 2
    for conn in made:
        conn.close()


class Headers(dict):  # type: ignore[type-arg]
    """A dict that can be referred to weakly."""


def test_request_leaves_nothing_to_the_next(echo: Any) -> None:
    with pool.PoolManager(timeout=10) as manager:
        url = echo.url("/echo")
        first = Headers({"X-First": "1"})
        seen = weakref.ref(first)
        posted = manager.request(
            "POST", url, body=b"of the first", headers=first, timeout=7, retries=pool.Retry(2),
            redirect=False, preload_content=False, decode_content=False, chunked=True,
        )  # fmt: skip
        posted.drain_conn()
        posted.release_conn()
        del posted, first
        gc.collect()
        assert seen() is None
        plain = manager.request("GET", url)
        assert b"X-First" not in plain.data
        assert b"of the first" not in plain.data
        assert b"Transfer-Encoding" not in plain.data


def test_request_within_a_finaliser_of_another(echo: Any) -> None:
    statuses: list[int] = []

    class Asking(Headers):
        def __del__(self) -> None:
            statuses.append(manager.request("GET", echo.url("/echo"), headers={"B": "1"}).status)

    with pool.PoolManager(timeout=10) as manager:
        for _ in range(3):
            assert manager.request("GET", echo.url("/echo"), headers=Asking(a="1")).status == 200
            gc.collect()
        assert statuses == [200] * 3
        assert b"B: 1" not in manager.request("GET", echo.url("/echo"), headers={"C": "2"}).data
