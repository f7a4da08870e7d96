"""Which origins speak HTTP/2: asked once per origin, by one thread at a time.

``acquire_and_get`` gives the known answer; when there is none the caller holds the
origin's lock and owes an answer through ``set_and_release``, and other threads wait.
"""

from __future__ import annotations

import threading

__all__ = [
    "set_and_release",
    "acquire_and_get",
]


class _Origin:
    """Answer for one (host, port); None is "not known yet"."""

    __slots__ = ("answer", "lock")

    def __init__(self) -> None:
        # Reentrant: `set_and_release` takes it again in the thread that probes.
        self.lock = threading.RLock()
        self.answer: bool | None = None


class _HTTP2ProbeCache:
    __slots__ = ("_lock", "_origins")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._origins: dict[tuple[str, int], _Origin] = {}

    def acquire_and_get(self, host: str, port: int) -> bool | None:
        """Return the answer, or None with the origin's lock held by this thread."""
        with self._lock:
            origin = self._origins.setdefault((host, port), _Origin())
        if origin.answer is not None:
            return origin.answer
        origin.lock.acquire()
        # The thread that we waited for may have found out: then nothing is owed, and a
        # third thread must not wait for a release that never comes.
        if origin.answer is not None:
            origin.lock.release()
        return origin.answer

    def set_and_release(self, host: str, port: int, supports_http2: bool | None) -> None:
        """Store the answer and let the next thread in.

        :raises ValueError: None for an origin whose answer is known.
        """
        with self._lock:
            origin = self._origins[(host, port)]
        with origin.lock:
            if supports_http2 is None and origin.answer is not None:
                raise ValueError("Cannot reset HTTP/2 support for origin after value has been set.")
            origin.answer = supports_http2
        origin.lock.release()

    def _values(self) -> dict[tuple[str, int], bool | None]:
        with self._lock:
            return {key: origin.answer for key, origin in self._origins.items()}

    def _reset(self) -> None:
        with self._lock:
            self._origins = {}


_HTTP2_PROBE_CACHE = _HTTP2ProbeCache()

set_and_release = _HTTP2_PROBE_CACHE.set_and_release
acquire_and_get = _HTTP2_PROBE_CACHE.acquire_and_get
_values = _HTTP2_PROBE_CACHE._values
_reset = _HTTP2_PROBE_CACHE._reset
