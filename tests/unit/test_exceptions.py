"""exceptions: hierarchy, texts, attributes, pickling and advice."""

from __future__ import annotations

import copy
import http.client
import io
import pickle
import socket
from email.errors import MessageDefect
from types import ModuleType
from typing import Any

import pytest


def samples(impl: ModuleType) -> dict[str, Exception]:
    """One of each exception that has arguments of its own."""
    errors = impl.exceptions
    pool = impl.HTTPConnectionPool("localhost")
    conn = impl.connection.HTTPConnection("localhost")
    made = [
        errors.HTTPError("text", OSError("cause")),
        errors.PoolError(pool, "text"),
        errors.RequestError(pool, "/path", "text"),
        errors.ClosedPoolError(pool, "Pool is closed."),
        errors.EmptyPoolError(pool, "Pool is empty."),
        errors.FullPoolError(pool, "Pool is full."),
        errors.ReadTimeoutError(pool, "/path", "Read timed out."),
        errors.ConnectTimeoutError("timed out"),
        errors.MaxRetryError(pool, "/path", errors.ProtocolError("reset")),
        errors.MaxRetryError(pool, None),
        errors.HostChangedError(pool, "http://other/", 2),
        errors.NewConnectionError(conn, "refused"),
        errors.NameResolutionError("nowhere", conn, socket.gaierror(-2, "unknown")),
        errors.ProxyError("Cannot connect to proxy", OSError("refused")),
        errors.LocationParseError("http://[::1"),
        errors.URLSchemeUnknown("gopher"),
        errors.ProxySchemeUnknown("ftp"),
        errors.ProxySchemeUnknown("localhost"),
        errors.ProxySchemeUnknown(None),
        errors.IncompleteRead(3, 7),
        errors.ProtocolError("Connection aborted.", ConnectionResetError(104, "reset")),
        errors.HeaderParsingError([MessageDefect("colon")], b"rest"),
        errors.HeaderParsingError([], None),
    ]
    return {f"{number}-{type(made_).__name__}": made_ for number, made_ in enumerate(made)}


def test_texts_and_arguments_are_the_same(both: dict[str, ModuleType]) -> None:
    theirs, ours = samples(both["urllib3"]), samples(both["pool"])
    assert list(theirs) == list(ours)
    for name, error in theirs.items():
        assert str(ours[name]) == str(error), name
        assert repr(ours[name]) == repr(error), name
        assert [str(arg) for arg in ours[name].args] == [str(arg) for arg in error.args], name


def test_hierarchy_is_the_same(both: dict[str, ModuleType]) -> None:
    def classes(impl: ModuleType) -> dict[str, list[str]]:
        return {
            name: [base.__name__ for base in value.__mro__]
            for name, value in vars(impl.exceptions).items()
            if isinstance(value, type) and issubclass(value, Exception)
            if not value.__module__.startswith("email.")
        }

    ours = classes(both["pool"])
    additions = {"BodyTooLargeError", "DeadlineError"}  # of PoolManager.imap_unordered()
    assert {name: ours[name] for name in ours.keys() - additions} == classes(both["urllib3"])
    assert additions <= ours.keys()


@pytest.mark.parametrize("duplicate", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
def test_every_error_survives_pickling(subject: ModuleType, duplicate: Any) -> None:
    for name, error in samples(subject).items():
        again = duplicate(error)
        assert type(again) is type(error), name
        for field in ("_message", "_host", "url", "retries", "location", "scheme", "partial"):
            assert getattr(again, field, None) == getattr(error, field, None), (name, field)
        for field in ("reason", "_reason", "original_error"):
            assert repr(getattr(again, field, None)) == repr(getattr(error, field, None)), name
        if not vars(error).keys() & {"pool", "conn"}:
            assert str(again) == str(error), name


def test_pickle_leaves_the_pool_behind(impl: ModuleType) -> None:
    error = impl.exceptions.MaxRetryError(impl.HTTPConnectionPool("h"), "/", OSError("x"))
    again = pickle.loads(pickle.dumps(error))
    assert again.pool is None
    assert str(again) == "None: Max retries exceeded with url: / (Caused by OSError('x'))"


def test_advice_of_one_error_survives_pickling(subject: ModuleType) -> None:
    error = subject.exceptions.ReadTimeoutError(subject.HTTPConnectionPool("h"), "/", "late")
    error.hint, error.rule, error.offset = "wait", "RFC 9112 8", 7
    again = pickle.loads(pickle.dumps(error))
    assert (again.hint, again.rule, again.offset) == ("wait", "RFC 9112 8", 7)


def test_every_error_has_the_advice_attributes(subject: ModuleType) -> None:
    for name, error in samples(subject).items():
        assert error.hint is None or error.hint.endswith("."), name
        assert error.rule is None, name
        assert error.offset is None, name
    assert "maxsize" in subject.exceptions.EmptyPoolError.hint


def test_invalid_chunk_length_keeps_its_counts(impl: ModuleType) -> None:
    response = impl.HTTPResponse(
        io.BytesIO(b"abcdef"), headers={"Content-Length": "10"}, preload_content=False
    )
    response.read(3)
    error = impl.exceptions.InvalidChunkLength(response, b"zz")
    assert isinstance(error, http.client.IncompleteRead)
    again = pickle.loads(pickle.dumps(error))
    assert (again.partial, again.expected, again.length) == (3, 7, b"zz")
    assert str(again) == str(error) == "InvalidChunkLength(got length b'zz', 3 bytes read)"


def test_new_connection_error_warns_about_pool(impl: ModuleType) -> None:
    conn = impl.connection.HTTPConnection("localhost")
    error = impl.exceptions.NewConnectionError(conn, "refused")
    with pytest.warns(FutureWarning, match="'pool' property is deprecated") as records:
        assert error.pool is conn
    assert records[0].filename == __file__


def test_errors_combine_with_os_errors(impl: ModuleType) -> None:
    """requests does this: the layout must be that of a plain Exception."""

    class ContentDecodingError(OSError, impl.exceptions.HTTPError):
        pass

    assert str(ContentDecodingError("text")) == "text"
