"""Names to addresses without blocking: getaddrinfo() in a few threads, asked once per name.

A `Resolver` owns its threads, which start when names wait and end with close(), and its
cache.  All its methods are for the thread of the loop; the threads hand over what they found
through a queue, and wake the loop.  `socket.getaddrinfo` is looked up at each call; when it
is not the standard library's, it is asked for addresses too, and nothing is remembered.
"""

from __future__ import annotations

import collections
import queue
import socket
import threading
import time
import typing
from collections.abc import Callable

from .stock import is_from

if typing.TYPE_CHECKING:
    AddressInfo = tuple[
        socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[typing.Any, ...]
    ]
    Answer = list[AddressInfo] | Exception
    Listener = Callable[[Answer], object]
    _Key = tuple[str, int | None, int]

_Getaddrinfo = typing.Any
_MAX_REMEMBERED = 10_000  # names
_JOIN_SECONDS = 1.0


class _Question(typing.NamedTuple):
    """What a thread is asked; the function as it was when the name was asked for."""

    key: _Key
    getaddrinfo: _Getaddrinfo


class Resolver:
    """Looks up at most `workers` names at a time.

    An answer is good for `ttl` seconds, "no such name" for `negative_ttl`; that the name
    server did not answer is not remembered.  `wake` is called from the threads.
    """

    def __init__(
        self,
        wake: Callable[[], object],
        *,
        workers: int = 16,
        ttl: float = 60.0,
        negative_ttl: float = 5.0,
    ) -> None:
        self._wake = wake
        self._workers = workers
        self._ttl = ttl
        self._negative_ttl = negative_ttl
        self._known: dict[_Key, tuple[float, Answer]] = {}
        self._asked: dict[_Key, list[Listener]] = {}
        self._questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._answers: collections.deque[tuple[_Question, Answer]] = collections.deque()
        self._threads: list[threading.Thread] = []
        self._busy = 0  # questions that no thread has answered yet
        self._lock = threading.Lock()  # over `_closed` and the call of `_wake`
        self._closed = False

    def lookup(self, host: str, port: int | None, family: int, listener: Listener) -> Answer | None:
        """The addresses of `host`, or the error of looking them up, if they are known.

        Else None: `listener` gets them later, from deliver(), unless close() comes first.
        """
        getaddrinfo = socket.getaddrinfo
        key = (host, port, family)
        if is_from(socket, getaddrinfo):
            known = self._recall(key)
            if known is None and _is_literal(host):
                known = _ask(getaddrinfo, key, socket.AI_NUMERICHOST)
                self._remember(key, known)
            if known is not None:
                return _fresh(known)
        waiting = self._asked.get(key)
        if waiting is not None:
            waiting.append(listener)
            return None
        self._asked[key] = [listener]
        self._busy += 1
        self._questions.put(_Question(key, getaddrinfo))
        if len(self._threads) < min(self._busy, self._workers):
            self._start_thread()
        return None

    def forget(self, host: str, port: int | None, family: int) -> None:
        """Ask anew next time: nobody could be reached at these addresses."""
        self._known.pop((host, port, family), None)

    def deliver(self) -> None:
        """Call the listeners of the names that were looked up since the last call."""
        while self._answers:
            question, answer = self._answers.popleft()
            self._busy -= 1
            if is_from(socket, question.getaddrinfo):
                self._remember(question.key, answer)
            for listener in self._asked.pop(question.key):
                listener(_fresh(answer))

    def close(self) -> None:
        """Forget everything, and end the threads; one inside getaddrinfo() ends after it."""
        with self._lock:
            self._closed = True
        unanswered = self._busy - len(self._answers)
        self._asked.clear()
        self._answers.clear()
        for _ in self._threads:
            self._questions.put(None)
        if not unanswered:
            for thread in self._threads:
                thread.join(_JOIN_SECONDS)
        self._threads.clear()

    # -- the cache -------------------------------------------------------------------------

    def _recall(self, key: _Key) -> Answer | None:
        known = self._known.get(key)
        if known is None:
            return None
        if known[0] > time.monotonic():
            return known[1]
        del self._known[key]
        return None

    def _remember(self, key: _Key, answer: Answer) -> None:
        seconds = self._ttl
        if isinstance(answer, Exception):
            # EAI_AGAIN speaks of the name server, not of the name.
            if not isinstance(answer, socket.gaierror) or answer.errno == socket.EAI_AGAIN:
                return
            seconds = self._negative_ttl
        if len(self._known) >= _MAX_REMEMBERED:
            self._known.clear()
        self._known[key] = (time.monotonic() + seconds, answer)

    # -- the threads -----------------------------------------------------------------------

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name="fastpool-resolver", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self) -> None:
        while (question := self._questions.get()) is not None:
            if self._closed:
                continue
            answer = _ask(question.getaddrinfo, question.key)
            with self._lock:
                if self._closed:  # the loop may be gone
                    continue
                self._answers.append((question, answer))
                self._wake()


def _ask(getaddrinfo: _Getaddrinfo, key: _Key, flags: int = 0) -> Answer:
    host, port, family = key
    try:
        # As create_connection() asks: replaced functions may take no more than this.
        if not flags:
            found = getaddrinfo(host, port, family, socket.SOCK_STREAM)
        else:
            found = getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, flags)
        return list(found)
    except Exception as error:
        return error.with_traceback(None)  # it holds frames, and may be raised often


def _fresh(answer: Answer) -> Answer:
    """An error of its own for each who gets to raise it."""
    return type(answer)(*answer.args) if type(answer) is socket.gaierror else answer


def _is_literal(host: str) -> bool:
    """Whether `host` is an address that no name server needs to be asked for."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError, AttributeError):  # ValueError: a NUL
            continue
        return True
    return False
