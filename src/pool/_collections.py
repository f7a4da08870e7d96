"""Containers: HTTPHeaderDict, and the LRU map that holds the pools of a PoolManager."""

from __future__ import annotations

import operator
import os
import typing
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum, auto
from threading import RLock

from ._fastpool import HeaderStore, bind_headers
from ._members import ContainerMembers

if typing.TYPE_CHECKING:
    from typing import Protocol

    from typing_extensions import Self

    class HasGettableStringKeys(Protocol):
        def keys(self) -> Iterator[str]: ...

        def __getitem__(self, key: str) -> str: ...


__all__ = ["RecentlyUsedContainer", "HTTPHeaderDict"]

_KT = typing.TypeVar("_KT")
_VT = typing.TypeVar("_VT")
_DT = typing.TypeVar("_DT")

ValidHTTPHeaderSource = typing.Union[
    "HTTPHeaderDict",
    typing.Mapping[str, str],
    typing.Iterable[tuple[str, str]],
    "HasGettableStringKeys",
]

# RFC 9110 15.4: fields that describe a body, dropped when a redirect drops the body;
# Transfer-Encoding frames it.
_CONTENT_FIELDS = (
    "Content-Encoding",
    "Content-Language",
    "Content-Location",
    "Content-Type",
    "Content-Length",
    "Digest",
    "Last-Modified",
    "Transfer-Encoding",
)


class _Sentinel(Enum):
    not_passed = auto()


def ensure_can_construct_http_header_dict(potential: object) -> ValidHTTPHeaderSource | None:
    """The argument if headers can be read from it, else None; nothing is consumed."""
    if isinstance(potential, (HTTPHeaderDict, Mapping)):
        return potential
    if isinstance(potential, Iterable):
        return typing.cast("Iterable[tuple[str, str]]", potential)
    if hasattr(potential, "keys") and hasattr(potential, "__getitem__"):
        return typing.cast("HasGettableStringKeys", potential)
    return None


def unshared(mapping: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """A copy made by look-ups alone. copy() and ``**`` take a lock of the dict where there is no
    GIL; one for which threads compete may stay taken in a forked child."""
    return {name: mapping[name] for name in tuple(mapping)}


# Those of all containers. Another thread may hold one at a fork, and nobody releases it in the
# child; what it guards is changed by single steps, and so in order at any of them.
_locks: weakref.WeakSet[typing.Any] = weakref.WeakSet()


def _free_locks() -> None:
    for lock in list(_locks):
        lock._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_locks)


class RecentlyUsedContainer(
    ContainerMembers, typing.Generic[_KT, _VT], typing.MutableMapping[_KT, _VT]
):
    """Thread-safe map of at most ``maxsize`` entries; the least recently used one goes first.

    ``dispose_func`` is called, outside the lock, with each value that leaves.
    """

    _container: OrderedDict[_KT, _VT]
    # The entry used last, for a look without the lock; one tuple, so that both halves belong
    # together.  A reader may see an entry that has just left, as if it had looked earlier.
    _newest: tuple[_KT, _VT] | None
    _maxsize: int
    dispose_func: Callable[[_VT], None] | None
    lock: RLock  # type: ignore[valid-type, unused-ignore]  # a function before Python 3.13

    def __init__(
        self, maxsize: int = 10, dispose_func: Callable[[_VT], None] | None = None
    ) -> None:
        self._maxsize = maxsize
        self.dispose_func = dispose_func
        self._container = OrderedDict()
        self._newest = None
        self.lock = RLock()
        _locks.add(self.lock)

    def __getitem__(self, key: _KT) -> _VT:
        with self.lock:
            item = self._container[key]
            self._container.move_to_end(key)
            self._newest = (key, item)
            return item

    def __setitem__(self, key: _KT, value: _VT) -> None:
        evicted: list[_VT] = []
        with self.lock:
            if key in self._container:
                evicted.append(self._container.pop(key))
            self._container[key] = value
            self._newest = (key, value) if self._maxsize > 0 else None
            if len(self._container) > self._maxsize:
                evicted.append(self._container.popitem(last=False)[1])
        self._dispose(evicted)

    def __delitem__(self, key: _KT) -> None:
        with self.lock:
            value = self._container.pop(key)
            self._newest = None
        self._dispose((value,))

    def __len__(self) -> int:
        with self.lock:
            return len(self._container)

    def __iter__(self) -> typing.NoReturn:
        raise NotImplementedError("Iteration over this class is unlikely to be threadsafe.")

    def clear(self) -> None:
        with self.lock:
            values = list(self._container.values())
            self._newest = None
            self._container.clear()
        self._dispose(values)

    def keys(self) -> set[_KT]:  # type: ignore[override]
        """A snapshot."""
        with self.lock:
            return set(self._container)

    def _dispose(self, values: Iterable[_VT]) -> None:
        if self.dispose_func:
            for value in values:
                self.dispose_func(value)


class HTTPHeaderDictItemView(set[tuple[str, str]]):
    """Live view of all (name, value) pairs; a repeated field gives one pair per line."""

    _headers: HTTPHeaderDict

    def __init__(self, headers: HTTPHeaderDict) -> None:
        self._headers = headers

    def __len__(self) -> int:
        return sum(len(lines) - 1 for lines in self._headers._container.values())

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self._headers.iteritems()

    def __contains__(self, item: object) -> bool:
        if isinstance(item, tuple) and len(item) == 2:
            name, value = item
            if isinstance(name, str) and isinstance(value, str):
                return self._headers._has_value_for_header(name, value)
        return False


class HTTPHeaderDict(HeaderStore, typing.MutableMapping[str, str]):
    """Header fields, found without regard to case, in their first spelling and order.

    ``[]`` and ``get`` join the lines of a repeated field with ``", "``; ``getlist`` gives them
    one by one, ``items()`` all of them. ``[name] = value`` replaces, ``add`` appends.

    The look-ups are the core's: those of a response read from the bytes of its head, until
    something else is asked and `_container` is made of them.
    """

    def __init__(self, headers: ValidHTTPHeaderSource | None = None, **kwargs: str):
        self._container = {}
        if headers is not None:
            if type(headers) is dict or not isinstance(headers, HTTPHeaderDict):
                self.extend(headers)
            else:
                self._copy_from(headers)
        if kwargs:
            self.extend(kwargs)

    def __setitem__(self, key: str, val: str) -> None:
        # Bytes are outside the declared types, and in use (elastic-apm, botocore).
        if isinstance(key, bytes):
            key = key.decode("latin-1")
        self._container[key.lower()] = [key, val]

    def __delitem__(self, key: str) -> None:
        if isinstance(key, bytes):
            key = key.decode("latin-1")
        del self._container[key.lower()]

    def setdefault(self, key: str, default: str = "") -> str:
        return super().setdefault(key, default)

    def __eq__(self, other: object) -> bool:
        source = ensure_can_construct_http_header_dict(other)
        if source is None:
            return False
        headers = source if isinstance(source, HTTPHeaderDict) else type(self)(source)
        return dict(_folded_items(self)) == dict(_folded_items(headers))

    def __ne__(self, other: object) -> bool:
        return not self.__eq__(other)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __len__(self) -> int:
        return len(self._container)

    def __iter__(self) -> Iterator[str]:
        for lines in self._container.values():
            yield lines[0]

    def discard(self, key: str) -> None:
        """Delete a field if it is there."""
        if key in self:
            del self[key]

    def add(self, key: str, val: str, *, combine: bool = False) -> None:
        """Append a line; ``combine`` joins it to the last line of that name instead."""
        if isinstance(key, bytes):
            key = key.decode("latin-1")
        fresh = [key, val]
        lines = self._container.setdefault(key.lower(), fresh)
        if lines is fresh:
            return
        if combine:
            lines[-1] = lines[-1] + ", " + val
        else:
            lines.append(val)

    def extend(self, *args: ValidHTTPHeaderSource, **kwargs: str) -> None:
        """``add`` all fields of a mapping, of pairs, or of anything with keys() and []."""
        if len(args) > 1:
            raise TypeError(f"extend() takes at most 1 positional arguments ({len(args)} given)")
        if args:
            self._extend_from(args[0])
        for key, value in kwargs.items():
            self.add(key, value)

    def _extend_from(self, source: ValidHTTPHeaderSource) -> None:
        pairs: Iterable[tuple[str, str]]
        # Exact types first: isinstance() with an ABC costs as much as three headers.
        if type(source) is dict:
            pairs = source.items()
        elif type(source) is list:
            pairs = source
        elif isinstance(source, HTTPHeaderDict):
            pairs = source.iteritems()
        elif isinstance(source, Mapping):
            pairs = source.items()
        elif isinstance(source, Iterable):
            pairs = source
        elif hasattr(source, "keys") and hasattr(source, "__getitem__"):
            pairs = ((key, source[key]) for key in source.keys())  # noqa: SIM118  # no mapping
        else:
            return
        if type(self).add is HTTPHeaderDict.add:
            self._add_all(pairs)
        else:
            for key, value in pairs:
                self.add(key, value)

    def _add_all(self, pairs: Iterable[tuple[str, str]]) -> None:
        # add() in a loop without the calls: the constructor is on the way of every request.
        container = self._container
        for key, value in pairs:
            if isinstance(key, bytes):
                key = key.decode("latin-1")
            folded = key.lower()
            if folded in container:
                container[folded].append(value)
            else:
                container[folded] = [key, value]

    @typing.overload
    def getlist(self, key: str) -> list[str]: ...

    @typing.overload
    def getlist(self, key: str, default: _DT) -> list[str] | _DT: ...

    def getlist(self, key: str, default: _Sentinel | _DT = _Sentinel.not_passed) -> list[str] | _DT:
        """All lines of a field, each as it came; ``[]`` or ``default`` if there are none."""
        lines = self._lines_of(key)
        if lines is not None:
            return lines
        return [] if default is _Sentinel.not_passed else default

    def _prepare_for_method_change(self) -> Self:
        """Drop what describes a body, for a redirect that turns POST into GET."""
        for field in _CONTENT_FIELDS:
            self.discard(field)
        return self

    # Names of http.client, of email.message and of urllib3 1.x.
    getheaders = getlist
    getallmatchingheaders = getlist
    iget = getlist
    get_all = getlist

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self.itermerged())})"

    def __reduce_ex__(self, protocol: typing.SupportsIndex) -> typing.Any:
        # Protocols 0 and 1 cannot copy what has a base in C.
        return super().__reduce_ex__(max(operator.index(protocol), 2))

    def __getstate__(self) -> dict[str, typing.Any]:
        return {**self.__dict__, "_container": self._container}

    def __setstate__(self, state: dict[str, typing.Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def _copy_from(self, other: HTTPHeaderDict) -> None:
        for folded, lines in other._container.items():
            self._container[folded] = lines.copy()

    def copy(self) -> Self:
        clone = type(self)()
        clone._copy_from(self)
        return clone

    def iteritems(self) -> Iterator[tuple[str, str]]:
        """All pairs, one per line."""
        for lines in self._container.values():
            name = lines[0]
            for value in lines[1:]:
                yield name, value

    def itermerged(self) -> Iterator[tuple[str, str]]:
        """One pair per field, its lines joined."""
        for lines in self._container.values():
            yield lines[0], ", ".join(lines[1:])

    def items(self) -> HTTPHeaderDictItemView:  # type: ignore[override]
        return HTTPHeaderDictItemView(self)

    def _has_value_for_header(self, header_name: str, potential_value: str) -> bool:
        lines = self._container.get(header_name.lower())
        return lines is not None and potential_value in lines[1:]

    def __ior__(self, other: object) -> HTTPHeaderDict:
        source = ensure_can_construct_http_header_dict(other)
        if source is None:
            return NotImplemented
        self.extend(source)
        return self

    def __or__(self, other: object) -> Self:
        source = ensure_can_construct_http_header_dict(other)
        if source is None:
            return NotImplemented
        result = self.copy()
        result.extend(source)
        return result

    def __ror__(self, other: object) -> Self:
        source = ensure_can_construct_http_header_dict(other)
        if source is None:
            return NotImplemented
        result = type(self)(source)
        result.extend(self)
        return result


bind_headers(HTTPHeaderDict)


def _folded_items(headers: HTTPHeaderDict) -> Iterator[tuple[str, str]]:
    for name, value in headers.itermerged():
        yield name.lower(), value
