"""PoolManager.request() is compiled and stands for RequestMethods.request(), whoever changes that.

Agents put something else in its place, or exchange its code; subclasses and mocks replace either.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any
from unittest import mock

import pytest

import pool
from pool._request_methods import RequestMethods

BY_AGENT = """
import sys
import pool.connectionpool
from pool._request_methods import RequestMethods

def stand_in(self, *args, **kwargs):
    calls.append(args[0])
    return copy(self, *args, **kwargs)

function = eval(sys.argv[1])
copy = type(function)(function.__code__, function.__globals__, "copy", function.__defaults__)
copy.__kwdefaults__ = function.__kwdefaults__
calls = function.__globals__["calls"] = []
function.__globals__["copy"] = copy
function.__code__ = stand_in.__code__
function.__defaults__ = function.__kwdefaults__ = None
with pool.PoolManager(timeout=10) as manager:
    for token in "ab":
        assert manager.request("GET", sys.argv[2] + token, timeout=5).data == token.encode()
assert len(calls) == 2, calls
"""


@pytest.fixture
def manager() -> Any:
    with pool.PoolManager(timeout=10) as manager:
        yield manager


def test_base_method_is_replaced_and_put_back(manager: Any, echo: Any) -> None:
    url = echo.url("/echo?token=a")
    usual = RequestMethods.request
    calls: list[Any] = []

    def spy(self: Any, *args: Any, **kw: Any) -> Any:
        calls.append((args, kw))
        return usual(self, *args, **kw)

    assert manager.request("GET", url).data == b"a"
    with mock.patch.object(RequestMethods, "request", spy):
        assert manager.request("GET", url, timeout=5, headers={"A": "b"}).data == b"a"
        # Who asserts calls sees what was given, and nothing else.
        assert manager.request("GET", url, body=None, json=None).data == b"a"
        assert manager.request("GET", url).data == b"a"
    assert calls == [
        (("GET", url), {"timeout": 5, "headers": {"A": "b"}}),
        (("GET", url), {"body": None, "json": None}),
        (("GET", url), {}),
    ]
    assert manager.request("GET", url).data == b"a"
    assert len(calls) == 3


def test_method_between_base_and_manager(echo: Any) -> None:
    calls: list[str] = []

    class Logged(RequestMethods):
        def request(self, method: str, url: str, *args: Any, **kw: Any) -> Any:
            calls.append(method)
            return super().request(method, url, *args, **kw)

    class Manager(pool.PoolManager, Logged):
        pass

    with Manager(timeout=10) as manager:
        assert manager.request("GET", echo.url("/echo?token=a")).data == b"a"
    assert calls == ["GET"]


@pytest.mark.parametrize(
    "method",
    [
        "RequestMethods.request",
        "pool.PoolManager.urlopen",
        "pool.HTTPConnectionPool.urlopen",
        "pool.HTTPConnectionPool._make_request",
    ],
)
def test_code_exchanged_before_the_first_request(echo: Any, method: str) -> None:
    command = [sys.executable, "-c", BY_AGENT, method, echo.url("/echo?token=")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((), "request() takes at least 3 positional arguments"),
        (("GET",), "request() takes at least 3 positional arguments"),
        (("GET", "/", None, None, None, None, 5), "request() takes at most 7 positional arguments"),
    ],
)
def test_wrong_number_of_arguments(manager: Any, given: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        manager.request(*given)
    assert str(caught.value).startswith(message)
    with pytest.raises(TypeError, match=r"multiple values for .*'method'"):
        manager.request("GET", "/", method="GET")


def test_body_json_and_fields_exclude_each_other(manager: Any) -> None:
    with pytest.raises(TypeError, match="got values for both 'body' and 'json'"):
        manager.request("POST", "http://a.test/", body=b"x", json={})
    with pytest.raises(TypeError, match="got values for both 'fields' and 'body'"):
        manager.request("POST", "http://a.test/", body=b"x", fields={"a": "b"})


def test_what_can_be_inspected() -> None:
    method = pool.PoolManager.request
    ours, theirs = inspect.signature(method), inspect.signature(RequestMethods.request)
    assert [(p.name, p.kind) for p in ours.parameters.values()] == [
        (p.name, p.kind) for p in theirs.parameters.values()
    ]
    assert method.__name__ == "request" and method.__qualname__ == "PoolManager.request"
    assert method.__module__ == "pool.poolmanager" and inspect.isfunction(RequestMethods.request)


def test_mocks_see_the_arguments(manager: Any) -> None:
    with mock.patch.object(pool.PoolManager, "request", autospec=True) as spy:
        manager.request("GET", "/", timeout=5)
    assert spy.call_args == mock.call("GET", "/", timeout=5)  # without the manager
    spec = mock.create_autospec(pool.PoolManager)
    spec.request(method="GET", url="/")
    spec.request.assert_called_once_with(method="GET", url="/")
