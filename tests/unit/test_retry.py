"""util.retry: Retry."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Part = Callable[[str], ModuleType]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time.sleep() was called with; the time is 2019-06-03 11:00 UTC."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("time.time", lambda: 1559559600.0)
    return slept


class Response:
    def __init__(self, status: int = 0, location: str | None = None, **headers: str) -> None:
        self.status, self.location = status, location
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def get_redirect_location(self) -> str | None:
        return self.location


def failure(impl: ModuleType, kind: str) -> Any:
    errors, pool = impl.exceptions, impl.HTTPConnectionPool("h")
    return {
        "connect": lambda: {"error": errors.ConnectTimeoutError("t")},
        "new": lambda: {"error": errors.NewConnectionError(None, "t")},
        "proxy": lambda: {"error": errors.ProxyError("t", errors.ConnectTimeoutError("t"))},
        "read": lambda: {"error": errors.ReadTimeoutError(pool, "/", "read timed out")},
        "protocol": lambda: {"error": errors.ProtocolError("reset")},
        "proxy-other": lambda: {"error": errors.ProxyError("t", OSError("t"))},
        "other": lambda: {"error": errors.SSLError("t")},
        "redirect": lambda: {"response": Response(302, "/there")},
        "status": lambda: {"response": Response(500)},
        "nothing": dict,
    }[kind]()


@pytest.mark.parametrize(
    ("kind", "counter"),
    [
        ("connect", "connect"), ("new", "connect"), ("proxy", "connect"),
        ("read", "read"), ("protocol", "read"),
        ("other", "other"), ("proxy-other", "other"),
        ("redirect", "redirect"), ("status", "status"), ("nothing", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("given_counts", [True, False])
def test_each_failure_lowers_its_own_count(
    impl: ModuleType, kind: str, counter: str | None, given_counts: bool
) -> None:
    names = ("connect", "read", "redirect", "status", "other")
    counts = dict.fromkeys(names, 5 if given_counts else None)
    retry = impl.Retry(total=9, **counts).increment("GET", "/", **failure(impl, kind))
    if given_counts and counter:
        counts[counter] = 4
    assert retry.total == 8
    assert {name: getattr(retry, name) for name in names} == counts


@pytest.mark.parametrize(
    ("arguments", "kind", "attempts"),
    [
        ({"total": 2}, "connect", 2),
        ({"connect": 3, "total": 2}, "connect", 2),
        ({"connect": 2, "total": 3}, "connect", 2),
        ({"connect": 2, "total": None}, "connect", 2),
        ({"connect": 1}, "other", 10),
        ({"read": 0}, "read", 0),
        ({"other": 1}, "other", 1),
        ({"redirect": 1}, "redirect", 1),
        ({"status": 2}, "status", 2),
        ({"total": 0}, "nothing", 0),
        ({"total": -1}, "nothing", 0),
    ],
)
def test_attempts_until_exhausted(
    impl: ModuleType, arguments: dict[str, Any], kind: str, attempts: int
) -> None:
    retry, what = impl.Retry(**arguments), failure(impl, kind)
    for _ in range(attempts):
        retry = retry.increment("GET", "/x", **what)
        assert not retry.is_exhausted()
    with pytest.raises(impl.exceptions.MaxRetryError) as caught:
        retry.increment("GET", "/x", **what)
    expected = {
        "redirect": "too many redirects",
        "status": "too many 500 error responses",
        "nothing": "too many error responses",
    }
    reason = caught.value.reason
    assert reason is caught.value.__cause__
    assert reason is what["error"] if "error" in what else str(reason) == expected[kind]
    assert caught.value.url == "/x"


@pytest.mark.parametrize(
    ("arguments", "kind", "method"),
    [
        ({"total": False}, "other", "GET"),
        ({"total": False}, "connect", "GET"),
        ({"connect": False}, "connect", "GET"),
        ({"read": False}, "read", "GET"),
        ({}, "read", "POST"),
        ({}, "read", None),
        ({}, "protocol", "PATCH"),
    ],
)
def test_error_that_must_not_be_retried_is_raised(
    impl: ModuleType, arguments: dict[str, Any], kind: str, method: str | None
) -> None:
    what = failure(impl, kind)
    with pytest.raises(type(what["error"])) as caught:
        impl.Retry(**arguments).increment(method, "/", **what)
    assert caught.value is what["error"]


def test_history(impl: ModuleType) -> None:
    retry = impl.Retry(allowed_methods=None)
    error = failure(impl, "read")["error"]
    retry = retry.increment("GET", "/1", error=error)
    retry = retry.increment("POST", "/2", Response(503))
    retry = retry.increment("GET", "/3", Response(302, "/4"))
    assert retry.history == (
        ("GET", "/1", error, None, None),
        ("POST", "/2", None, 503, None),
        ("GET", "/3", None, 302, "/4"),
    )
    assert retry.history[2].redirect_location == "/4"


@pytest.mark.parametrize(
    ("arguments", "attempts", "pause"),
    [
        ({"backoff_factor": 0.2}, 0, 0),
        ({"backoff_factor": 0.2}, 1, 0),
        ({"backoff_factor": 0.2}, 2, 0.4),
        ({"backoff_factor": 0.2}, 3, 0.8),
        ({"backoff_factor": 0.2}, 14, 120),
        ({"backoff_factor": 0.2, "backoff_max": 1}, 5, 1),
        ({}, 5, 0),
    ],
)
def test_backoff(impl: ModuleType, arguments: Any, attempts: int, pause: float) -> None:
    retry = impl.Retry(total=100, **arguments)
    for _ in range(attempts):
        retry = retry.increment("GET")
    assert retry.get_backoff_time() == pause


def test_backoff_starts_again_after_a_redirect(impl: ModuleType) -> None:
    retry = impl.Retry(total=100, backoff_factor=0.2)
    for kind, pause in [("nothing", 0), ("nothing", 0.4), ("redirect", 0), ("nothing", 0)]:
        retry = retry.increment("GET", **failure(impl, kind))
        assert retry.get_backoff_time() == pause
    assert retry.increment("GET").get_backoff_time() == 0.4


def test_jitter(impl: ModuleType) -> None:
    retry = impl.Retry(backoff_factor=0.2, backoff_jitter=0.4, backoff_max=0.7)
    retry = retry.increment("GET").increment("GET")
    seen = {retry.get_backoff_time() for _ in range(200)}
    assert min(seen) >= 0.4
    assert max(seen) == 0.7
    assert len(seen) > 20


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0), ("1000", 1000), ("\t42 ", 42), ("21600", 21600), ("21601", 21600),
        ("Mon, 3 Jun 2019 12:00:00 UTC", 3600),
        ("Mon, 03 Jun 2019 11:30:12 GMT", 1812),
        ("Monday, 03-Jun-19 11:30:12 GMT", 1812),
        ("Mon Jun  3 11:30:12 2019", 1812),
        ("Mon, 3 Jun 2019 13:00:00 +0200", 0),
        ("Sun, 02 Jun 2019 11:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 21600),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("pauses")
def test_retry_after(impl: ModuleType, value: str, seconds: int) -> None:
    assert impl.Retry().parse_retry_after(value) == seconds
    assert impl.Retry(retry_after_max=1).parse_retry_after(value) == min(seconds, 1)
    assert impl.Retry().get_retry_after(Response(503, Retry_After=value)) == seconds


@pytest.mark.parametrize("value", ["-1", "+1", "1.0", "\xb2", "", "soon", "1_0"])
def test_retry_after_that_is_none(impl: ModuleType, value: str) -> None:
    with pytest.raises(impl.exceptions.InvalidHeader, match="Invalid Retry-After header: "):
        impl.Retry().parse_retry_after(value)


def test_retry_after_beyond_all_limits_is_no_foreign_error(subject: ModuleType) -> None:
    for value in ("9" * 20, "9" * 5000):
        assert subject.Retry().parse_retry_after(value) == 21600
    with pytest.raises(subject.exceptions.InvalidHeader) as caught:
        subject.Retry().parse_retry_after("Mon, 99 Jun 99999999999 12:00:00 GMT")
    assert caught.value.rule == "RFC 9110 10.2.3"


@pytest.mark.parametrize(
    ("header", "respect", "slept"),
    [("3600", True, [3600]), ("0", True, [0.4]), ("3600", False, [0.4]), (None, True, [0.4])],
)
def test_sleep(
    impl: ModuleType, pauses: list[float], header: Any, respect: bool, slept: list[float]
) -> None:
    retry = impl.Retry(backoff_factor=0.2, respect_retry_after_header=respect)
    retry = retry.increment("GET").increment("GET")
    retry.sleep(Response(503, Retry_After=header) if header else Response(503))
    retry.sleep()
    assert pauses == [*slept, 0.4]
    impl.Retry().sleep()
    assert len(pauses) == 2


@pytest.mark.parametrize(
    ("arguments", "call", "expected"),
    [
        ({}, ("GET", 500), False),
        ({}, ("GET", 503, True), True),
        ({}, ("GET", 503, False), False),
        ({}, ("GET", 500, True), False),
        ({}, ("POST", 503, True), False),
        ({"total": 0}, ("GET", 503, True), False),
        ({"respect_retry_after_header": False}, ("GET", 503, True), False),
        ({"status_forcelist": range(500, 600)}, ("get", 500), True),
        ({"status_forcelist": [418]}, ("GET", 400), False),
        ({"status_forcelist": ["418"]}, ("GET", 418), False),
        ({"status_forcelist": [500]}, ("POST", 500), False),
        ({"status_forcelist": [500], "allowed_methods": None}, ("POST", 500), True),
        ({"status_forcelist": [500], "allowed_methods": False}, ("POST", 500), True),
        ({"status_forcelist": [500], "allowed_methods": ["POST"]}, ("GET", 500), False),
    ],
)
def test_is_retry(impl: ModuleType, arguments: Any, call: Any, expected: bool) -> None:
    assert impl.Retry(**arguments).is_retry(*call) is expected


def test_empty_methods_warn(impl: ModuleType) -> None:
    with pytest.warns(FutureWarning, match="Using an empty collection for 'allowed_methods'") as w:
        retry = impl.Retry(status_forcelist=[500], allowed_methods=[])
    assert w[0].filename == __file__
    assert retry.is_retry("POST", 500)


@pytest.mark.parametrize(
    ("retries", "redirect", "default", "expected"),
    [
        (None, True, None, "total=3, redirect=None, True"),
        (None, True, 7, "total=7, redirect=None, True"),
        (5, True, None, "total=5, redirect=None, True"),
        (5, False, None, "total=5, redirect=0, False"),
        (0, True, 7, "total=0, redirect=None, True"),
        (False, True, None, "total=False, redirect=0, False"),
        (True, None, None, "total=True, redirect=0, False"),
    ],
)
def test_from_int(
    impl: ModuleType, retries: Any, redirect: Any, default: Any, expected: str
) -> None:
    made = impl.Retry.from_int(retries, redirect, default)
    assert f"total={made.total}, redirect={made.redirect}, {made.raise_on_redirect}" == expected
    assert impl.Retry.from_int(made, False) is made


def test_default_can_be_replaced(impl: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    replacement = impl.Retry(1)
    monkeypatch.setattr(impl.Retry, "DEFAULT", replacement)
    assert impl.Retry.from_int(None) is replacement


def test_representation(impl: ModuleType) -> None:
    class Own(impl.Retry):
        pass

    expected = "Own(total=9, connect=None, read=None, redirect=2, status=None)"
    assert repr(Own(redirect=2).increment("GET")) == expected


def test_headers_to_remove_are_lower_case(impl: ModuleType) -> None:
    assert impl.Retry().remove_headers_on_redirect == {
        "authorization", "proxy-authorization", "cookie"
    }  # fmt: skip
    retry = impl.Retry(remove_headers_on_redirect=["X-Secret"])
    assert retry.new().remove_headers_on_redirect == {"x-secret"}


def test_new_keeps_every_parameter(both: dict[str, ModuleType]) -> None:
    arguments = {
        "total": 1, "connect": 2, "read": 3, "redirect": 4, "status": 5, "other": 6,
        "allowed_methods": {"GET"}, "status_forcelist": {500}, "backoff_factor": 7,
        "backoff_max": 8, "raise_on_redirect": False, "raise_on_status": False,
        "respect_retry_after_header": False, "remove_headers_on_redirect": {"a"},
        "backoff_jitter": 9.0, "retry_after_max": 10,
    }  # fmt: skip
    theirs, ours = (vars(module.Retry(**arguments).new(history=("h",))) for module in both.values())
    assert ours == theirs
    assert ours["history"] == ("h",)


def test_pickle(impl: ModuleType) -> None:
    retry = impl.Retry(3, status_forcelist=[500]).increment("GET", "/", **failure(impl, "status"))
    assert vars(pickle.loads(pickle.dumps(retry))) == vars(retry)


def test_subclass_with_parameters_of_its_own(impl: ModuleType) -> None:
    """influxdb-client: new() and increment() are overridden, everything goes through them."""

    class WritesRetry(impl.Retry):
        def __init__(self, max_time: int = 180, **kw: Any) -> None:
            super().__init__(**kw)
            self.max_time = max_time

        def new(self, **kw: Any) -> Any:
            kw.setdefault("max_time", self.max_time)
            return super().new(**kw)

        def increment(
            self,
            method: Any = None,
            url: Any = None,
            response: Any = None,
            error: Any = None,
            _pool: Any = None,
            _stacktrace: Any = None,
        ) -> Any:
            return super().increment(method, url, response, error, _pool, _stacktrace)  # fmt: skip

    retry = WritesRetry(5, total=4).increment("GET", "/")
    assert (type(retry), retry.max_time, retry.total) == (WritesRetry, 5, 3)


def test_log_texts(impl: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="urllib3.util.retry"):
        impl.Retry.from_int(2).increment("GET", "/x")
    assert [record.getMessage() for record in caplog.records] == [
        "Converted retries value: 2 -> "
        "Retry(total=2, connect=None, read=None, redirect=None, status=None)",
        "Incremented Retry for (url='/x'): "
        "Retry(total=1, connect=None, read=None, redirect=None, status=None)",
    ]
