"""What each request reads of managers, pools and connections.

These classes own the names of such attributes. As `__slots__` they lie at a fixed place in the
object, where the core reads them without a search; for Python code they are attributes like all
others. Values and meaning belong to the classes that inherit them.
"""

from __future__ import annotations

import typing

from ._fastpool import bind_members

if typing.TYPE_CHECKING:
    from typing_extensions import Self

    from ._fastpool import Wire


class ManagerMembers:
    """Of PoolManager."""

    __slots__ = ("_origins", "_unhooked", "connection_pool_kw", "key_fn_by_scheme", "pools")


class PoolMembers:
    """Of HTTPConnectionPool."""

    __slots__ = (
        "_unhooked",
        "block",
        "num_requests",
        "pool",
        "proxy",
        "proxy_headers",
        "retries",
    )


class ConnectionMembers:
    """Of HTTPConnection. What stands in for a connection (vcrpy) may skip `__init__`."""

    __slots__ = (
        "_body_started",
        "_close_after_response",
        "_defer_redirect_body",
        "_fork_generation",
        "_host_bytes",
        "_wire",
        "sock",
        "timeout",
    )

    # Buffers and state of the compiled exchange on the present socket; None before the first.
    _wire: Wire | None
    # The Host field of requests on the present socket.
    _host_bytes: bytes
    _fork_generation: int | None
    _body_started: bool
    _close_after_response: bool
    _defer_redirect_body: bool

    def __new__(cls, *args: typing.Any, **kwargs: typing.Any) -> Self:
        self = super().__new__(cls)
        for name, value in _AT_FIRST:
            object.__setattr__(self, name, value)  # not the one of what stands in
        return self


_AT_FIRST = (
    ("_wire", None),
    ("_host_bytes", b""),
    ("_fork_generation", None),
    ("_body_started", False),
    ("_close_after_response", False),
    ("_defer_redirect_body", False),
)


class ContainerMembers:
    """Of RecentlyUsedContainer."""

    __slots__ = ("_newest",)


bind_members(ManagerMembers, PoolMembers, ConnectionMembers, ContainerMembers)
