"""_collections: HTTPHeaderDict and RecentlyUsedContainer, also against urllib3's."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pool import _fastpool
from tests.support import implementations

NAMES = st.sampled_from(["A", "a", "Set-Cookie", "set-cookie", "X-y", "Content-Length", "é"])
VALUES = st.sampled_from(["1", "2", "a, b", "", "ü"])
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=4)


class StrEnumLike(str):
    """A name that is a str, and says something else in lower case."""

    def lower(self) -> str:
        return "x-own"


class WithKeys:
    """Neither a mapping nor iterable."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.data = dict(pairs)

    def keys(self) -> list[str]:
        return list(self.data)

    def __getitem__(self, key: str) -> str:
        return self.data[key]


SOURCES = st.tuples(st.sampled_from([list, dict, WithKeys, "own"]), PAIRS)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), NAMES, VALUES),
        st.tuples(st.just("add"), NAMES, VALUES, st.booleans()),
        st.tuples(st.sampled_from(["del", "discard", "pop", "get", "getlist", "in"]), NAMES),
        st.tuples(st.just("setdefault"), NAMES, VALUES),
        st.tuples(st.sampled_from(["extend", "update", "|=", "|", "r|", "==", "new"]), SOURCES),
        st.tuples(st.sampled_from(["copy", "prepare", "pickle"])),
    ),
    max_size=12,
)


def build(cls: Any, source: tuple[Any, list[tuple[str, str]]]) -> Any:
    kind, pairs = source
    return cls(pairs) if kind == "own" else kind(pairs)


def apply(cls: Any, headers: Any, operation: tuple[Any, ...]) -> tuple[Any, Any]:
    """The dict to go on with, and what the operation answered."""
    name, *args = operation
    if name in ("extend", "update", "|=", "|", "r|", "==", "new"):
        args = [build(cls, args[0])]
    match name:
        case "set":
            headers[args[0]] = args[1]
            return headers, None
        case "add":
            return headers, headers.add(args[0], args[1], combine=args[2])
        case "del":
            del headers[args[0]]
            return headers, None
        case "in":
            return headers, args[0] in headers
        case "|=":
            headers |= args[0]
            return headers, None
        case "|":
            return headers | args[0], None
        case "r|":
            return args[0] | headers, None
        case "==":
            return headers, (headers == args[0], headers != args[0])
        case "new":
            return cls(args[0]), None
        case "prepare":
            return headers._prepare_for_method_change(), None
        case "pickle":
            return pickle.loads(pickle.dumps(headers)), None
        case "copy":
            return headers.copy(), None
        case _:
            return headers, getattr(headers, name)(*args)


def view(headers: Any) -> Any:
    return (
        list(headers.items()), list(headers.itermerged()), list(headers), len(headers),
        len(headers.items()), repr(headers), headers._container,
        type(headers).__name__, sorted(headers.items()),
    )  # fmt: skip


def history(cls: Any, operations: list[tuple[Any, ...]], headers: Any = None) -> list[Any]:
    headers = cls() if headers is None else headers
    seen: list[Any] = []
    for operation in operations:
        try:
            headers, answer = apply(cls, headers, operation)
        except Exception as error:
            seen.append((type(error), str(error)))
        else:
            seen.append((answer, view(headers)))
    return seen


@given(OPERATIONS)
def test_any_sequence_of_operations_gives_what_urllib3_gives(operations: list[Any]) -> None:
    theirs, ours = (
        implementations.load(name)._collections.HTTPHeaderDict for name in implementations.NAMES
    )
    assert history(ours, operations) == history(theirs, operations)


KNOWN = ["Content-Type", "content-type", "CONTENT-TYPE", "Set-Cookie", "set-cookie", "ETag", "Etag"]
SENT_NAMES = st.sampled_from([*KNOWN, "X-Own", "x-own", "X", "Content-Typf", "Content-Typ"])
SENT_VALUES = st.text("ab, \xe9", max_size=6).map(str.strip)


SENT = st.lists(st.tuples(SENT_NAMES, SENT_VALUES), max_size=12)


def received(pairs: list[tuple[str, str]]) -> Any:
    lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    return _fastpool.parse_head(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode("latin-1"))


def own_class() -> Any:
    return implementations.load("pool").HTTPHeaderDict


def is_made(headers: Any) -> bool:
    """Whether the fields of a response's headers have become a dict; looks at their memory."""
    return any(type(held) is dict for held in gc.get_referents(headers))


@given(SENT)
def test_headers_of_a_head_are_what_the_constructor_makes_of_its_fields(
    pairs: list[tuple[str, str]],
) -> None:
    cls = own_class()
    head = received(pairs)
    assert head.items() == pairs
    made = head.headers()
    assert type(made) is cls and view(made) == view(cls(pairs))
    assert made._container == cls(pairs)._container
    made.add("Content-Type", "later")  # no part of it is shared with the next
    assert head.headers() == cls(pairs)


@pytest.mark.parametrize("place", ["first", "last"])
def test_one_letter_beyond_ascii_anywhere_in_a_head_is_read_as_latin1(place: str) -> None:
    """A head is looked at eight bytes a step, and its rest byte by byte."""
    for size in range(40):
        for at in range(size + 1):
            value = "b" * at + "\xff" + "b" * (size - at)
            other = ("C", "d" * (size % 9))
            pairs = [("A", value), other] if place == "first" else [other, ("A", value)]
            found = received(pairs).headers()._container
            assert found == {"a": ["A", value], "c": ["C", other[1]]}
            assert found["a"][1].encode() == value.encode()  # a wrong kind of str is still equal


def test_many_fields_find_room_in_a_dict() -> None:
    pairs = [(f"X-{n}", str(n)) for n in range(90)]
    assert received(pairs).headers()._container == own_class()(pairs)._container


ASKED = st.one_of(
    SENT_NAMES,
    st.sampled_from(["", "x-\xe9", "x-oWn", "\u212a", b"Etag", b"x-\xe9", 3, None, 1.5]),
    st.sampled_from([StrEnumLike("ETag"), StrEnumLike("none")]),
)
LOOKUPS = st.one_of(
    st.tuples(st.sampled_from(["__getitem__", "get", "getlist", "__contains__"]), ASKED),
    st.tuples(st.sampled_from(["get", "getlist"]), ASKED, st.sampled_from(["other", None])),
)


@given(SENT, st.lists(LOOKUPS, min_size=1, max_size=6))
def test_look_ups_give_the_same_before_and_after_the_dict_is_made(
    pairs: list[tuple[str, str]], lookups: list[tuple[Any, ...]]
) -> None:
    theirs = implementations.load("urllib3").HTTPHeaderDict(pairs)
    fresh, made = (received(pairs).headers() for _ in range(2))
    assert len(made) == len(theirs)
    for name, *args in lookups:
        assert outcome(fresh, name, *args) == outcome(theirs, name, *args)
        assert outcome(made, name, *args) == outcome(theirs, name, *args)
    assert view(fresh) == view(theirs)


@given(SENT, OPERATIONS)
def test_any_use_of_received_headers_gives_what_urllib3_gives(
    pairs: list[tuple[str, str]], operations: list[Any]
) -> None:
    theirs = implementations.load("urllib3").HTTPHeaderDict
    assert history(own_class(), operations, received(pairs).headers()) == history(
        theirs, operations, theirs(pairs)
    )


def outcome(headers: Any, name: str, *args: Any) -> Any:
    try:
        return getattr(headers, name)(*args)
    except Exception as error:
        return type(error), str(error)


def test_look_ups_leave_received_headers_as_they_came() -> None:
    headers = received([("A", "1"), ("b", "2"), ("a", "3")]).headers()
    assert headers["A"] == headers.get("a") == "1, 3"
    assert headers.getlist("a") == ["1", "3"]
    assert "B" in headers and "c" not in headers and headers.get("c") is None
    with pytest.raises(KeyError, match="'x-c'"):
        headers["X-C"]
    assert not is_made(headers)
    assert len(headers) == 2
    assert is_made(headers)


def test_headers_do_not_keep_the_body_of_their_response() -> None:
    head = received([("A", "1")])
    held = gc.get_referents(head.headers())
    assert not any(type(each) is type(head) for each in held)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_received_headers_travel(protocol: int) -> None:
    headers = received([("A", "1"), ("a", "2")]).headers()
    headers.mark = "own"
    arrived = pickle.loads(pickle.dumps(headers, protocol))
    assert type(arrived) is type(headers) and arrived == headers and arrived.mark == "own"
    for again in (copy.copy(headers), copy.deepcopy(headers), headers.copy()):
        assert again == headers


def test_a_subclass_that_overrides_a_look_up_is_asked_by_get() -> None:
    class Loud(own_class()):  # type: ignore[misc]
        def __getitem__(self, key: str) -> str:
            return str(super().__getitem__(key)).upper()

    assert Loud({"a": "b"}).get("A") == "B"
    assert Loud().get("A", "none") == "none"


def test_a_replaced_look_up_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = received([("A", "b")]).headers()
    with monkeypatch.context() as patch:
        patch.setattr(own_class(), "__getitem__", lambda self, key: "patched")
        assert headers["A"] == headers.get("a") == "patched"
    assert headers["A"] == headers.get("a") == "b"


def test_headers_without_fields_have_no_container() -> None:
    cls = own_class()
    with pytest.raises(AttributeError, match="'HTTPHeaderDict' object has no attribute"):
        len(cls.__new__(cls))


def test_threads_that_ask_for_the_dict_at_once_get_the_same_one() -> None:
    for _ in range(100):
        headers = received([(f"X-{n}", "v") for n in range(50)]).headers()
        start = threading.Barrier(4)
        seen: list[Any] = []

        def look(headers: Any = headers, start: Any = start, seen: Any = seen) -> None:
            start.wait()
            assert headers["X-7"] == "v"
            seen.append(headers._container)
            headers.add("X-New", "v")

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(each) for each in seen}) == 1
        assert headers.getlist("x-new") == ["v"] * 4


@pytest.fixture
def headers(impl: ModuleType) -> Any:
    made = impl.HTTPHeaderDict(Cookie="foo")
    made.add("cookie", "bar")
    return made


def test_bytes_names_are_latin1(headers: Any) -> None:
    headers[b"X-\xe9"] = "1"
    headers.add(b"x-\xe9", "2")
    headers.extend({b"X-\xe9": "3"})
    assert headers["X-é"] == headers[b"X-\xe9"] == "1, 2, 3"
    assert headers.getlist(b"x-\xe9") == ["1", "2", "3"]
    assert b"cookie" in headers
    del headers[b"Cookie"]
    assert "cookie" not in headers


@pytest.mark.parametrize("key", [3, None, 1.5])
def test_other_names_are_refused(impl: ModuleType, headers: Any, key: Any) -> None:
    assert key not in headers
    for action in (
        lambda: headers.__setitem__(key, "x"),
        lambda: headers.add(key, "x"),
        lambda: headers.extend({key: "x"}),
        lambda: impl.HTTPHeaderDict([(key, "x")]),
    ):
        with pytest.raises(AttributeError, match="lower"):
            action()


def test_subclass_that_overrides_add_is_asked(impl: ModuleType) -> None:
    class Upper(impl.HTTPHeaderDict):
        def add(self, key: str, val: str, *, combine: bool = False) -> None:
            super().add(key, val.upper(), combine=combine)

    assert list(Upper({"a": "b"}, c="d").items()) == [("a", "B"), ("c", "D")]


def test_copies_do_not_share_lines(impl: ModuleType, headers: Any) -> None:
    for duplicate in (headers.copy(), impl.HTTPHeaderDict(headers), headers | {}):
        duplicate.add("cookie", "new")
    assert headers.getlist("cookie") == ["foo", "bar"]


@pytest.mark.parametrize("alias", ["getheaders", "getallmatchingheaders", "iget", "get_all"])
def test_other_names_of_getlist(headers: Any, alias: str) -> None:
    assert getattr(headers, alias)("COOKIE") == ["foo", "bar"]
    assert getattr(headers, alias)("none") == []
    assert getattr(headers, alias)("none", None) is None


def test_item_view_is_live_and_knows_its_pairs(headers: Any) -> None:
    items = headers.items()
    assert ("COOKIE", "bar") in items
    assert ("Cookie", "foo, bar") not in items
    assert ("Cookie", 1) not in items
    assert "Cookie" not in items
    headers.add("X", "1")
    assert len(items) == 3


@pytest.mark.parametrize("other", [2, None, 1.5, object()])
def test_what_holds_no_headers_is_unequal_and_cannot_be_joined(headers: Any, other: Any) -> None:
    assert not headers == other  # noqa: SIM201  # == and != are two methods
    assert headers != other
    with pytest.raises(TypeError, match="unsupported operand"):
        headers | other
    with pytest.raises(TypeError, match="unsupported operand"):
        headers |= other


def test_extend_takes_one_argument(headers: Any) -> None:
    with pytest.raises(TypeError, match=r"at most 1 positional arguments \(2 given\)"):
        headers.extend({}, {})


def test_unhashable(headers: Any) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(headers)


KEYS = st.integers(0, 6)
CACHE_OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("__setitem__"), KEYS, st.integers(0, 99)),
        st.tuples(
            st.sampled_from(["__getitem__", "__delitem__", "get", "pop", "__contains__"]), KEYS
        ),
        st.tuples(st.sampled_from(["clear", "__len__", "keys"])),
    ),
    max_size=20,
)


@given(st.integers(0, 4), CACHE_OPERATIONS)
def test_any_use_of_the_cache_gives_what_urllib3_gives(maxsize: int, operations: list[Any]) -> None:
    seen = []
    for name in implementations.NAMES:
        cls = implementations.load(name)._collections.RecentlyUsedContainer
        disposed: list[Any] = []
        cache, answers = cls(maxsize, dispose_func=disposed.append), []
        for operation, *args in operations:
            try:
                answers.append(getattr(cache, operation)(*args))
            except KeyError as error:
                answers.append(error.args)
            answers.append((list(cache._container.items()), list(disposed)))
        seen.append(answers)
    assert seen[0] == seen[1]


def test_cache_is_not_iterable(impl: ModuleType) -> None:
    with pytest.raises(NotImplementedError, match="threadsafe"):
        iter(impl._collections.RecentlyUsedContainer())


def test_cache_disposes_outside_its_lock(impl: ModuleType) -> None:
    free: list[bool] = []

    def dispose(value: Any) -> None:
        # From another thread: the lock is reentrant.
        def probe() -> None:
            free.append(cache.lock.acquire(blocking=False))
            if free[-1]:
                cache.lock.release()

        thread = threading.Thread(target=probe)
        thread.start()
        thread.join()

    cache = impl._collections.RecentlyUsedContainer(1, dispose)
    cache["a"] = 1
    cache["a"] = 2
    cache["b"] = 3
    del cache["b"]
    cache["c"] = 4
    cache.clear()
    assert free == [True] * 4
