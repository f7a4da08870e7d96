"""request() of somebody's own urlopen(): what it is given, and what it is not."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def recorder(impl: ModuleType) -> Any:
    """A RequestMethods that returns the keywords of its urlopen()."""

    base = importlib.import_module(f"{impl.__name__}._request_methods").RequestMethods

    class Recorder(base):  # type: ignore[misc,valid-type]
        def urlopen(self, method: str, url: str, **keywords: Any) -> dict[str, Any]:
            return keywords

    return Recorder()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fields", [None, {"a": "b"}])
@pytest.mark.parametrize("timeout", [None, 5, 2.5])
def test_timeout_is_passed_on_when_it_is_given(
    recorder: Any, method: str, fields: dict[str, str] | None, timeout: float | None
) -> None:
    given = recorder.request(method, "/", fields=fields, timeout=timeout)
    assert given["timeout"] == timeout


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fields", [None, {"a": "b"}])
def test_timeout_is_not_passed_on_when_it_is_not_given(
    recorder: Any, method: str, fields: dict[str, str] | None
) -> None:
    assert "timeout" not in recorder.request(method, "/", fields=fields)


@pytest.mark.parametrize("name", ["request_encode_url", "request_encode_body"])
def test_timeout_reaches_a_method_that_somebody_overrides(impl: ModuleType, name: str) -> None:
    class Own(impl.PoolManager):  # type: ignore[misc,name-defined]
        pass

    setattr(Own, name, lambda self, method, url, **keywords: keywords)
    method = "GET" if name == "request_encode_url" else "POST"
    with Own() as manager:
        assert manager.request(method, "http://x/", timeout=3)["timeout"] == 3
        assert "timeout" not in manager.request(method, "http://x/")


def test_timeout_reaches_the_urlopen_of_a_pool_that_somebody_overrides(impl: ModuleType) -> None:
    class Own(impl.HTTPConnectionPool):  # type: ignore[misc,name-defined]
        def urlopen(self, method: str, url: str, **keywords: Any) -> Any:
            seen.append(keywords)
            return impl.HTTPResponse(body=b"", status=200)

    seen: list[dict[str, Any]] = []
    with impl.PoolManager() as manager:
        manager.pool_classes_by_scheme = {"http": Own}
        manager.request("GET", "http://x/", timeout=3)
        manager.request("GET", "http://x/")
    assert seen[0]["timeout"] == 3
    assert "timeout" not in seen[1]
