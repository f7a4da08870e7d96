"""What the core remembers of objects and namespaces is forgotten when they change.

urllib3 looks at them in each request.  So each scenario makes some requests, changes something,
and sees that the next request knows of it; then what was changed is put back.
"""

from __future__ import annotations

import http.client
import logging
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

import pool


def warm(manager: Any, url: str, **keywords: Any) -> None:
    for _ in range(3):
        assert manager.request("GET", url, timeout=10, **keywords).status == 200


class TestPolicy:
    def test_status_added_to_the_list_in_place(self, impl: ModuleType, echo: Any) -> None:
        retries = impl.Retry(2)
        with impl.PoolManager() as manager:
            warm(manager, echo.url("/echo"), retries=retries)
            retries.status_forcelist.add(200)
            with pytest.raises(impl.exceptions.MaxRetryError):
                manager.request("GET", echo.url("/echo"), retries=retries)
            retries.status_forcelist.clear()
            warm(manager, echo.url("/echo"), retries=retries)

    def test_another_list(self, impl: ModuleType, echo: Any) -> None:
        retries = impl.Retry(2)
        with impl.PoolManager() as manager:
            warm(manager, echo.url("/echo"), retries=retries)
            retries.status_forcelist = [200]
            with pytest.raises(impl.exceptions.MaxRetryError):
                manager.request("GET", echo.url("/echo"), retries=retries)

    @pytest.mark.parametrize("where", ["class", "object"])
    def test_is_retry_is_replaced(self, impl: ModuleType, echo: Any, where: str) -> None:
        class Own(impl.Retry):  # type: ignore[misc,name-defined]
            pass

        asked: list[int] = []

        def is_retry(*arguments: Any, **keywords: Any) -> bool:
            asked.append(next(each for each in arguments if isinstance(each, int)))
            return False

        retries = Own(2)
        with impl.PoolManager() as manager:
            warm(manager, echo.url("/echo"), retries=retries)
            (Own if where == "class" else retries).is_retry = is_retry
            warm(manager, echo.url("/echo"), retries=retries)
        assert asked == [200, 200, 200]

    def test_statuses_of_retry_after_begin_lower(self, impl: ModuleType, echo: Any) -> None:
        class Own(impl.Retry):  # type: ignore[misc,name-defined]
            def sleep(self, response: Any = None) -> None:
                slept.append(response)

        slept: list[Any] = []
        key = f"{impl.__name__}-lower"
        url = echo.url("/flaky", key=key, times=1, status=202, retry_after=1)
        retries = Own(2)
        with impl.PoolManager() as manager:
            warm(manager, echo.url("/echo"), retries=retries)
            Own.RETRY_AFTER_STATUS_CODES = frozenset({202})
            assert manager.request("GET", url, retries=retries).status == 200
        assert len(slept) == 1

    def test_policy_with_a_past(self, impl: ModuleType, echo: Any) -> None:
        past = impl.util.retry.RequestHistory("GET", "/a", None, 303, "/b")
        with impl.PoolManager() as manager:
            warm(manager, echo.url("/echo"))
            answer = manager.request(
                "GET", echo.url("/echo"), retries=impl.Retry(2, history=(past,))
            )
        assert answer.url == "/b"


class TestManager:
    def test_value_of_a_keyword_changed_in_place(self, impl: ModuleType, echo: Any) -> None:
        headers = {"A": "b"}
        with impl.PoolManager(headers=None, maxsize=2, socket_options=[]) as manager:
            warm(manager, echo.url("/echo"), headers=headers)
            before = len(manager.pools)
            manager.connection_pool_kw["socket_options"].append((6, 1, 1))
            warm(manager, echo.url("/echo"), headers=headers)
            assert len(manager.pools) == before + 1

    def test_another_maker_of_keys(self, impl: ModuleType, echo: Any) -> None:
        with impl.PoolManager() as manager:
            warm(manager, echo.url("/echo"))
            usual = manager.key_fn_by_scheme["http"]
            made: list[Any] = []

            def make(context: dict[str, Any]) -> Any:
                made.append(context)
                return usual(context)

            manager.key_fn_by_scheme["http"] = make
            warm(manager, echo.url("/echo"))
            assert made

    def test_proxy_given_later(self, impl: ModuleType, echo: Any) -> None:
        """The target is what a proxy is asked for from then on."""
        page = echo.url("/inspect")
        with impl.PoolManager() as manager:
            assert manager.request("GET", page).json()["target"] == "/inspect"
            manager.proxy = impl.util.parse_url(echo.url())
            assert manager.request("GET", page).json()["target"] == page
            manager.proxy = None
            assert manager.request("GET", page).json()["target"] == "/inspect"


class TestNamespaces:
    def test_limits_of_http_client(
        self, impl: ModuleType, echo: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with impl.PoolManager(retries=False) as manager:
            warm(manager, echo.url("/echo"))
            with monkeypatch.context() as patch:
                patch.setattr(http.client, "_MAXHEADERS", 1)
                with pytest.raises(impl.exceptions.ProtocolError):
                    manager.request("GET", echo.url("/echo"))
            warm(manager, echo.url("/echo"))

    def test_idle_connection_that_is_said_to_be_dropped(
        self, impl: ModuleType, echo: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with impl.PoolManager() as manager:
            warm(manager, echo.url("/echo"))
            asked: list[Any] = []
            with monkeypatch.context() as patch:
                patch.setattr(
                    impl.connectionpool,
                    "is_connection_dropped",
                    lambda conn: bool(asked.append(conn)),  # type: ignore[func-returns-value]
                )
                warm(manager, echo.url("/echo"))
            assert len(asked) == 3
            warm(manager, echo.url("/echo"))
            assert len(asked) == 3

    def test_somebody_listens_to_the_log(
        self, impl: ModuleType, echo: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        with impl.PoolManager() as manager:
            warm(manager, echo.url("/echo"))
            caplog.clear()
            with caplog.at_level(logging.DEBUG, logger="urllib3"):
                warm(manager, echo.url("/echo"))
            told = [record for record in caplog.records if '"GET /echo' in record.getMessage()]
            assert len(told) == 3
            caplog.clear()
            warm(manager, echo.url("/echo"))
            assert not caplog.records


#: What the code put into http.client calls, and what it goes on with; it finds both by import.
noted: list[str] = []
originals: dict[str, FunctionType] = {}


def _code_that_notes(name: str) -> CodeType:
    source = f"""def traced(self, *arguments, **keywords):
        from tests.surface import test_remembered
        test_remembered.noted.append({name!r})
        return test_remembered.originals[{name!r}](self, *arguments, **keywords)
    """
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    made: CodeType = namespace["traced"].__code__
    return made


class TestCode:
    """Agents exchange the code of a function, which stays the same object in the same class."""

    @pytest.mark.parametrize(
        ("cls", "name"),
        [
            (http.client.HTTPConnection, "putrequest"),
            (http.client.HTTPConnection, "putheader"),
            (http.client.HTTPConnection, "endheaders"),
            (http.client.HTTPConnection, "_send_output"),
            (http.client.HTTPConnection, "getresponse"),
            (http.client.HTTPResponse, "read"),
        ],
        ids=lambda value: value if isinstance(value, str) else value.__name__,
    )
    def test_of_http_client(self, impl: ModuleType, echo: Any, cls: type, name: str) -> None:
        function = vars(cls)[name]
        code, defaults = function.__code__, (function.__defaults__, function.__kwdefaults__)
        copy = FunctionType(code, function.__globals__, name, function.__defaults__)
        copy.__kwdefaults__ = function.__kwdefaults__
        originals[name] = copy
        noted.clear()
        with impl.PoolManager() as manager:
            warm(manager, echo.url("/echo"))
            function.__defaults__ = function.__kwdefaults__ = None
            function.__code__ = _code_that_notes(name)
            try:
                assert manager.request("GET", echo.url("/echo")).status == 200
            finally:
                function.__code__ = code
                function.__defaults__, function.__kwdefaults__ = defaults
            assert set(noted) == {name}
            noted.clear()
            warm(manager, echo.url("/echo"))
        assert noted == []


class TestHead:
    """The lines behind the request line are written once, for fields that come again."""

    def seen(self, manager: Any, echo: Any, headers: Any, **keywords: Any) -> dict[str, str]:
        page = manager.request("GET", echo.url("/inspect"), headers=headers, **keywords).json()
        return dict(page["headers"])

    def test_field_changed_in_place(self, impl: ModuleType, echo: Any) -> None:
        headers = {"A": "one", "B": "two"}
        with impl.PoolManager() as manager:
            for _ in range(4):
                assert self.seen(manager, echo, headers)["A"] == "one"
            headers["A"] = "three"
            assert self.seen(manager, echo, headers)["A"] == "three"
            del headers["B"]
            assert "B" not in self.seen(manager, echo, headers)

    def test_two_sets_of_fields_in_turn(self, impl: ModuleType, echo: Any) -> None:
        first, second = {"A": "one"}, {"A": "two"}
        with impl.PoolManager() as manager:
            for _ in range(6):
                assert self.seen(manager, echo, first)["A"] == "one"
                assert self.seen(manager, echo, second)["A"] == "two"

    def test_body_in_between(self, impl: ModuleType, echo: Any) -> None:
        headers = {"A": "one"}
        with impl.PoolManager() as manager:
            for _ in range(4):
                assert "Content-Length" not in self.seen(manager, echo, headers)
                page = manager.request(
                    "POST", echo.url("/inspect"), headers=headers, body=b"text"
                ).json()
                assert dict(page["headers"])["Content-Length"] == "4"

    @pytest.mark.parametrize("target", ["/inspect?a=b c", "/inspect?\u00e9", "/inspect?%zz"])
    def test_target_that_needs_encoding(self, impl: ModuleType, echo: Any, target: str) -> None:
        headers = {"A": "one"}
        with impl.PoolManager() as manager:
            for _ in range(4):
                self.seen(manager, echo, headers)
            base = echo.url("/").rstrip("/")
            page = manager.request("GET", base + target, headers=headers).json()
        assert page["target"] == impl.util.parse_url(base + target).request_uri

    def test_connection_close_comes_again(self, echo: Any) -> None:
        headers = {"Connection": "close"}
        with pool.HTTPConnectionPool(*echo.server_address, timeout=10) as origin:
            for _ in range(5):
                assert origin.request("GET", "/echo", headers=headers).status == 200
                conn: Any = origin._get_conn()
                assert conn.sock is None
                origin._put_conn(conn)
