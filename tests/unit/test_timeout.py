"""util.timeout: Timeout."""

from __future__ import annotations

import socket
from types import ModuleType
from typing import Any

import pytest

NOT_GIVEN = object()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """time.monotonic() that stands still until told."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr("time.monotonic", lambda: Clock.now)
    return Clock


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"total": -1}, "Attempted to set total timeout to -1, but the timeout cannot be set"),
        ({"connect": 2, "total": -1}, "less than or equal to 0"),
        ({"connect": 0}, "Attempted to set connect timeout to 0"),
        ({"read": -0.5}, "Attempted to set read timeout to -0.5"),
        ({"connect": False}, "Timeout cannot be a boolean value"),
        ({"read": True}, "cannot be a boolean"),
        ({"read": "foo"}, "Timeout value read was foo, but it must be an int, float or None"),
        ({"read": "1.0"}, "int, float or None"),
        ({"total": object()}, "int, float or None"),
        ({"total": [1]}, "int, float or None"),
    ],
)
def test_invalid_value(impl: ModuleType, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        impl.Timeout(**arguments)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("arguments", "elapsed", "connect", "read"),
    [
        ({"total": 3}, 0, 3, 3),
        ({"total": 3}, 2, 3, 1),
        ({"total": 3}, 5, 3, 0),
        ({"total": 3, "connect": 2}, 0, 2, 3),
        ({"total": 3, "connect": 9}, 0, 3, 3),
        ({"total": 3, "connect": None}, 0, 3, 3),
        ({"total": 3, "read": None}, 1, 3, 2),
        ({"total": 10, "read": 7}, 5, 10, 5),
        ({"total": 10, "read": 7}, 2, 10, 7),
        ({"total": 10, "read": 7}, None, 10, 7),
        ({"total": 10, "read": 7}, 11, 10, 0),
        ({"connect": 1.5, "read": 2.5}, 9, 1.5, 2.5),
        ({"total": None, "connect": None, "read": None}, 1, None, None),
    ],
)
def test_seconds(
    impl: ModuleType, clock: Any, arguments: Any, elapsed: Any, connect: Any, read: Any
) -> None:
    timeout = impl.Timeout(**arguments)
    if elapsed is not None:
        assert timeout.start_connect() == 1000
        clock.now += elapsed
        assert timeout.get_connect_duration() == elapsed
    assert (timeout.connect_timeout, timeout.read_timeout) == (connect, read)


def test_what_is_not_given_is_the_default_of_sockets(impl: ModuleType) -> None:
    timeout = impl.Timeout()
    assert timeout.connect_timeout is impl.util.timeout._DEFAULT_TIMEOUT
    before = socket.getdefaulttimeout()
    try:
        for seconds in (2.0, None):
            socket.setdefaulttimeout(seconds)
            assert timeout.read_timeout == seconds
            assert timeout.resolve_default_timeout(timeout.connect_timeout) == seconds
    finally:
        socket.setdefaulttimeout(before)
    assert timeout.resolve_default_timeout(5) == 5


def test_clock_starts_once(impl: ModuleType) -> None:
    timeout = impl.Timeout(total=3)
    error = impl.exceptions.TimeoutStateError
    with pytest.raises(error, match="timer that has not started"):
        timeout.get_connect_duration()
    with pytest.raises(error):
        timeout.read_timeout  # noqa: B018  # a property that raises
    timeout.start_connect()
    with pytest.raises(error, match="already been started"):
        timeout.start_connect()


def test_clone_has_a_clock_of_its_own(impl: ModuleType) -> None:
    timeout = impl.Timeout(total=3, connect=2, read=1)
    timeout.start_connect()
    clone = timeout.clone()
    assert str(clone) == str(timeout) == "Timeout(connect=2, read=1, total=3)"
    clone.start_connect()


def test_from_float(impl: ModuleType) -> None:
    assert str(impl.Timeout.from_float(4)) == "Timeout(connect=4, read=4, total=None)"
    assert impl.Timeout.from_float(None).connect_timeout is None
