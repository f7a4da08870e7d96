"""How agents put their hooks in: by assignment, by mock, by wrapt; all can be taken out again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from tests.support import programs

KINDS = ("assigned", "mock", "wrapt")

# around(call, self, args, kwargs) runs in place of the method and calls it.
Around = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


@contextmanager
def hooked(kind: str, owner: type, name: str, around: Around) -> Iterator[None]:
    """Hook one method of a class for the length of the block."""
    original = vars(owner)[name]

    @functools.wraps(original)
    def replacement(self: Any, *args: Any, **kwargs: Any) -> Any:
        return around(functools.partial(original, self), self, args, kwargs)

    if kind == "mock":
        with mock.patch.object(owner, name, autospec=True, side_effect=replacement):
            yield
        return
    if kind == "wrapt":
        programs.need_module("wrapt").wrap_function_wrapper(owner, name, around)
    else:
        setattr(owner, name, replacement)
    try:
        yield
    finally:
        setattr(owner, name, original)


def passing(seen: list[Any], note: Callable[[Any, tuple[Any, ...]], Any]) -> Around:
    """A hook that changes nothing and notes each call."""

    def around(
        call: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        seen.append(note(instance, args))
        return call(*args, **kwargs)

    return around
