"""Methods of pools and managers that somebody replaces are called, however he does it, whenever.

urllib3 calls each of them for every request.  The core calls them only where they are not ours, so
each must be noticed: put into the class, set on the object or overridden by a subclass, before
the first request or after some that went the unhooked way; and gone again when it is taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

POOL = ("urlopen", "_get_conn", "_put_conn", "_make_request", "_validate_conn")
MANAGER = ("urlopen", "connection_from_host", "connection_from_context", "connection_from_pool_key")
REQUEST = ("request_encode_url", "request_encode_body")

_ABSENT = object()


def counting(usual: Callable[..., Any], calls: list[str], name: str) -> Callable[..., Any]:
    def spy(*args: Any, **kw: Any) -> Any:
        calls.append(name)
        return usual(*args, **kw)

    return spy


@contextmanager
def replaced(where: str, owner: Any, name: str, calls: list[str]) -> Iterator[None]:
    """`owner.name` counts its calls: in the class of `owner`, or on the object itself."""
    target = owner if where == "object" else type(owner)
    kept = vars(target).get(name, _ABSENT)
    setattr(target, name, counting(getattr(target, name), calls, name))
    try:
        yield
    finally:
        if kept is _ABSENT:
            delattr(target, name)
        else:
            setattr(target, name, kept)


def pool_of(module: ModuleType, echo: Any) -> Any:
    return module.HTTPConnectionPool(*echo.server_address, timeout=10)


class TestPool:
    @pytest.mark.parametrize("name", POOL)
    @pytest.mark.parametrize("where", ["class", "object"])
    def test_replaced_between_requests_and_put_back(
        self, impl: ModuleType, echo: Any, where: str, name: str
    ) -> None:
        calls: list[str] = []
        with pool_of(impl, echo) as pool:
            for _ in range(3):
                assert pool.request("GET", "/echo").status == 200
            with replaced(where, pool, name, calls):
                assert pool.request("GET", "/echo").status == 200
            assert calls == [name]
            assert pool.request("GET", "/echo").status == 200
            assert calls == [name]
            assert pool.num_connections == 1
            assert pool.num_requests == 5

    @pytest.mark.parametrize("name", POOL)
    def test_overridden(self, impl: ModuleType, echo: Any, name: str) -> None:
        calls: list[str] = []
        usual = getattr(impl.HTTPConnectionPool, name)
        cls = type("Own", (impl.HTTPConnectionPool,), {name: counting(usual, calls, name)})
        with cls(*echo.server_address, timeout=10) as pool:
            for _ in range(2):
                assert pool.request("GET", "/echo").status == 200
        assert calls == [name] * 2

    @pytest.mark.parametrize("name", POOL)
    def test_set_on_the_pool_of_a_manager(self, impl: ModuleType, echo: Any, name: str) -> None:
        calls: list[str] = []
        with impl.PoolManager(timeout=10) as manager:
            for _ in range(3):
                manager.request("GET", echo.url("/echo"))
            pool = manager.connection_from_url(echo.url("/"))
            with replaced("object", pool, name, calls):
                assert manager.request("GET", echo.url("/echo")).status == 200
            assert manager.request("GET", echo.url("/echo")).status == 200
        assert calls == [name]

    def test_checkout_that_fails_gives_back_what_it_did_not_take(
        self, impl: ModuleType, echo: Any
    ) -> None:
        def refuse(timeout: float | None = None) -> Any:
            raise RuntimeError("none today")

        with pool_of(impl, echo) as pool:
            pool.pool.get()
            pool._get_conn = refuse
            with pytest.raises(RuntimeError, match="none today"):
                pool.request("GET", "/echo")
            assert pool.pool.qsize() == 1


class TestManager:
    @pytest.mark.parametrize("name", MANAGER)
    @pytest.mark.parametrize("where", ["class", "object"])
    def test_replaced_between_requests_and_put_back(
        self, impl: ModuleType, echo: Any, where: str, name: str
    ) -> None:
        calls: list[str] = []
        with impl.PoolManager(timeout=10) as manager:
            for _ in range(3):
                assert manager.request("GET", echo.url("/echo")).status == 200
            with replaced(where, manager, name, calls):
                assert manager.request("GET", echo.url("/echo")).status == 200
            assert manager.request("GET", echo.url("/echo")).status == 200
        assert calls == [name]

    @pytest.mark.parametrize("name", REQUEST)
    def test_encoders_overridden(self, impl: ModuleType, echo: Any, name: str) -> None:
        calls: list[str] = []
        usual = getattr(impl.PoolManager, name)
        cls = type("Own", (impl.PoolManager,), {name: counting(usual, calls, name)})
        with cls(timeout=10) as manager:
            for method in ("GET", "POST"):
                assert manager.request(method, echo.url("/echo")).status == 200
        assert calls == [name]

    def test_overridden_urlopen_gets_case_insensitive_headers_with_a_body(
        self, impl: ModuleType, echo: Any
    ) -> None:
        seen: list[Any] = []

        class Own(impl.PoolManager):  # type: ignore[name-defined, misc]
            def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> Any:
                seen.append(kw["headers"])
                return super().urlopen(method, url, redirect, **kw)

        with Own(timeout=10) as manager:
            manager.request("POST", echo.url("/echo"), body=b"x", headers={"X-Own": "1"})
        assert seen[0]["x-own"] == "1"
