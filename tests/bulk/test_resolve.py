"""Names are looked up in threads, once for all who ask, and remembered for a while."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from pool._bulk import resolve
from pool._bulk.resolve import Resolver
from tests.support.counters import wait_until

HERE = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]


class Names:
    """Stands for the system's resolver: counts questions, and answers when it may."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.inside = 0
        self.most_inside = 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.errors: dict[str, Exception] = {}
        self._lock = threading.Lock()

    def __call__(self, getaddrinfo: Any, key: Any, flags: int = 0) -> Any:
        with self._lock:
            self.asked.append(key[0])
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        self.may_answer.wait(10)
        with self._lock:
            self.inside -= 1
        return self.errors.get(key[0], HERE)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(resolve, "_ask", names)
    yield names
    names.may_answer.set()


Make = Callable[..., tuple[Resolver, threading.Event]]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Resolver] = []

    def make(**options: Any) -> tuple[Resolver, threading.Event]:
        woken = threading.Event()
        made.append(Resolver(woken.set, **options))
        return made[-1], woken

    yield make
    for resolver in made:
        resolver.close()


def threads(*, since: Sequence[threading.Thread] = ()) -> list[threading.Thread]:
    """Of resolvers; those of an earlier test may still be on their way out."""
    return [
        thread
        for thread in threading.enumerate()
        if thread.name == "fastpool-resolver" and thread not in since
    ]


def look_up(resolver: Resolver, woken: threading.Event, host: str) -> Any:
    """The answer, waited for if need be."""
    got: list[Any] = []
    known = resolver.lookup(host, 80, 0, got.append)
    deadline = time.monotonic() + 10
    while known is None and not got:
        assert woken.wait(deadline - time.monotonic())
        woken.clear()
        resolver.deliver()
    return known if known is not None else got[0]


def test_answer_is_handed_over_by_deliver_alone(make: Make, names: Names) -> None:
    resolver, woken = make()
    got: list[Any] = []
    assert resolver.lookup("a.test", 80, 0, got.append) is None
    assert woken.wait(10)
    assert got == []
    resolver.deliver()
    assert got == [HERE]


def test_real_name_of_this_machine(make: Make) -> None:
    answer = look_up(*make(), "localhost")
    assert {info[4][0] for info in answer} <= {"127.0.0.1", "::1"}


def test_many_who_ask_at_once_share_one_question(make: Make, names: Names) -> None:
    resolver, woken = make()
    names.may_answer.clear()
    got: list[Any] = []
    for _ in range(50):
        assert resolver.lookup("a.test", 80, 0, got.append) is None
    names.may_answer.set()
    assert woken.wait(10)
    resolver.deliver()
    assert got == [HERE] * 50
    assert names.asked == ["a.test"]


def test_port_and_family_make_another_question(make: Make, names: Names) -> None:
    resolver, _ = make()
    for port, family in ((80, 0), (81, 0), (80, socket.AF_INET)):
        resolver.lookup("a.test", port, family, print)
    assert wait_until(lambda: len(names.asked) == 3)


def test_answer_is_remembered_for_its_time(make: Make, names: Names) -> None:
    resolver, woken = make(ttl=0.3)
    look_up(resolver, woken, "a.test")
    assert resolver.lookup("a.test", 80, 0, print) == HERE
    assert names.asked == ["a.test"]
    time.sleep(0.4)
    look_up(resolver, woken, "a.test")
    assert names.asked == ["a.test"] * 2


def test_forgotten_answer_is_asked_for_anew(make: Make, names: Names) -> None:
    resolver, woken = make()
    look_up(resolver, woken, "a.test")
    resolver.forget("a.test", 80, 0)
    resolver.forget("never-asked.test", 80, 0)
    look_up(resolver, woken, "a.test")
    assert len(names.asked) == 2


def test_unknown_name_is_remembered_for_a_shorter_time(make: Make, names: Names) -> None:
    resolver, woken = make(ttl=60, negative_ttl=0.3)
    names.errors["a.test"] = socket.gaierror(socket.EAI_NONAME, "unknown")
    first = look_up(resolver, woken, "a.test")
    second = look_up(resolver, woken, "a.test")
    assert isinstance(first, socket.gaierror) and first.args == second.args
    assert first is not second, "each may raise its own"
    assert len(names.asked) == 1
    time.sleep(0.4)
    look_up(resolver, woken, "a.test")
    assert len(names.asked) == 2


@pytest.mark.parametrize(
    "error",
    [socket.gaierror(socket.EAI_AGAIN, "try again"), MemoryError(), OSError(5, "I/O")],
    ids=["again", "memory", "other"],
)
def test_failure_to_ask_is_not_remembered(make: Make, names: Names, error: Exception) -> None:
    resolver, woken = make()
    names.errors["a.test"] = error
    assert look_up(resolver, woken, "a.test").args == error.args
    del names.errors["a.test"]
    assert look_up(resolver, woken, "a.test") == HERE


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "2001:db8::7"])
def test_address_needs_no_thread(make: Make, host: str) -> None:
    resolver, _ = make()
    before = threads()
    answer = resolver.lookup(host, 80, 0, pytest.fail)
    assert isinstance(answer, list)
    assert [info[4][:2] for info in answer] == [(host, 80)]
    assert not threads(since=before)


def test_address_of_the_wrong_family_fails_as_getaddrinfo_does(make: Make) -> None:
    answer = make()[0].lookup("::1", 80, socket.AF_INET, pytest.fail)
    with pytest.raises(socket.gaierror) as plain:
        socket.getaddrinfo("::1", 80, socket.AF_INET, socket.SOCK_STREAM)
    assert isinstance(answer, socket.gaierror)
    assert answer.args == plain.value.args


def test_threads_start_when_needed_and_no_more_than_allowed(make: Make, names: Names) -> None:
    before = threads()
    resolver, woken = make(workers=3)
    assert not threads(since=before)
    look_up(resolver, woken, "a.test")
    assert len(threads(since=before)) == 1
    names.may_answer.clear()
    got: list[Any] = []
    for number in range(20):
        resolver.lookup(f"{number}.test", 80, 0, got.append)
    assert len(threads(since=before)) == 3
    assert wait_until(lambda: names.inside == 3)
    names.may_answer.set()
    assert wait_until(lambda: resolver.deliver() or len(got) == 20)  # type: ignore[func-returns-value]
    assert names.most_inside == 3


def test_slow_name_does_not_hold_up_others(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def ask(getaddrinfo: Any, key: Any, flags: int = 0) -> Any:
        if key[0] == "slow.test":
            release.wait(10)
        return HERE

    monkeypatch.setattr(resolve, "_ask", ask)
    resolver, woken = make()
    late: list[Any] = []
    resolver.lookup("slow.test", 80, 0, late.append)
    assert look_up(resolver, woken, "quick.test") == HERE
    assert late == []
    release.set()


def test_close_ends_the_threads_and_calls_nobody(make: Make, names: Names) -> None:
    before = threads()
    resolver, woken = make()
    look_up(resolver, woken, "a.test")
    resolver.close()
    assert not threads(since=before)
    names.may_answer.clear()
    resolver, woken = make()
    got: list[Any] = []
    resolver.lookup("b.test", 80, 0, got.append)
    resolver.lookup("c.test", 80, 0, got.append)
    resolver.close()
    names.may_answer.set()
    assert wait_until(lambda: not threads(since=before))
    resolver.deliver()
    assert got == [] and not woken.is_set()


class TestReplacedFunction:
    """Programs replace socket.getaddrinfo: theirs is asked, every time and for everything."""

    def test_it_is_asked_each_time(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[Any] = []

        def lookup(host: str, port: int, family: int = 0, type: int = 0) -> Any:
            asked.append((host, port, family, type))
            return iter(HERE)

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        resolver, woken = make()
        assert look_up(resolver, woken, "a.test") == HERE
        assert look_up(resolver, woken, "a.test") == HERE
        assert look_up(resolver, woken, "127.0.0.1") == HERE
        question = (80, 0, socket.SOCK_STREAM)
        assert asked == [("a.test", *question)] * 2 + [("127.0.0.1", *question)]

    def test_what_was_known_before_does_not_hide_it(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolver, woken = make()
        look_up(resolver, woken, "localhost")
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: HERE)
        assert look_up(resolver, woken, "localhost") == HERE

    def test_whatever_it_raises_is_the_answer(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("no network in tests")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        answer = look_up(*make(), "a.test")
        assert isinstance(answer, RuntimeError)
        assert answer.__traceback__ is None
