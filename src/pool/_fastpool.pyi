"""The compiled core as `pool` sees it.  Not public: no name here is an interface.

Times are in seconds, None waits for ever; sizes are in bytes.
"""

import queue
import socket
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping

from ._base_connection import BaseHTTPConnection
from ._bulk.request import Request
from ._collections import HTTPHeaderDict
from ._limits import Limits
from ._request_methods import RequestMethods
from .connection import HTTPConnection
from .response import BaseHTTPResponse, HTTPResponse

_T = typing.TypeVar("_T")
_Buffer = bytes | bytearray | memoryview

# Values of Wire.prepare(length=): who frames the body.
BY_CALLER: int
AS_CHUNKS: int
FORCE_CHUNKS: int
# Bits of what it returns: the caller gave the field.
GAVE_LENGTH: int
GAVE_CODING: int

def fork_generation() -> int:
    """Number of forks between the first process and this one."""

def bind_headers(headers: type[HTTPHeaderDict]) -> None:
    """The class that `ResponseHead.headers` makes."""

def bind_original_response(make: Callable[[ResponseHead], typing.Any]) -> None:
    """How `ResponseHead.original_response` makes its result."""

def headers_of(response: typing.Any) -> HTTPHeaderDict:
    """A header dict of the fields of `response._head`; an empty one without a head."""

class HeaderStore:
    """Base of `HTTPHeaderDict`: where its fields are, and the look-ups that leave them there."""

    # Lower-cased name -> [name as first written, value, value, ...].
    _container: MutableMapping[str, list[str]]
    def __getitem__(self, key: str, /) -> str: ...
    def __contains__(self, key: object, /) -> bool: ...
    @typing.overload
    def get(self, key: str, default: None = None) -> str | None: ...
    @typing.overload
    def get(self, key: str, default: str) -> str: ...
    @typing.overload
    def get(self, key: str, default: _T) -> str | _T: ...
    def _lines_of(self, key: str) -> list[str] | None:
        """A new list of all lines of a field; None if there are none."""

class lazy(typing.Generic[_T]):
    """An attribute that `make` gives at its first look; then it is the instance's own.

    It has no `__set__`, so a plain assignment takes its place.
    """

    def __init__(self, make: Callable[[typing.Any], _T]) -> None: ...
    @typing.overload
    def __get__(self, instance: None, owner: type) -> lazy[_T]: ...
    @typing.overload
    def __get__(self, instance: object, owner: type) -> _T: ...

def from_head(default: typing.Any, source: str) -> typing.Any:
    """`default`, or the attribute `source` of the head of a response that has one.

    Looked up once; then it is the instance's own.
    """

def gunzip_size(data: bytes) -> int:
    """Bytes to make room for when `data` is one gzip member, 0 when it may be something else."""

def parse_head(data: _Buffer, *, method: str = "GET", limits: Limits | None = None) -> ResponseHead:
    """Parse one response head by the rules of the wire.

    None when it is not complete (not in the type: callers read up to the empty line).
    Raises BadStatusLine, LineTooLong, HTTPException, InvalidHeader, ProtocolError.
    """

def parse_chunk_size(line: bytes) -> int:
    """Size in a chunk-size line, line end included; raises InvalidChunkLength."""

def has_any(names: dict[str, typing.Any], wanted: tuple[str, ...]) -> bool:
    """Whether one of `wanted` is a key of `names`."""

class TypeSnapshot:
    """Remembers what was found out about up to four types, as long as nobody modifies them."""

    verdict: typing.Any
    def __init__(
        self,
        types: tuple[type, ...],
        verdict: typing.Any,
        functions: tuple[types.FunctionType, ...] = (),
    ) -> None: ...
    def holds(self) -> bool:
        """True while no type, and no base of one, was modified."""

class Guard:
    """Decides per request whether a connection may take the compiled exchange."""

    def __init__(
        self,
        examine_connection: Callable[[type], TypeSnapshot],
        examine_socket: Callable[[type], TypeSnapshot],
        hooks: tuple[str, ...],
    ) -> None: ...
    def transport_of(self, conn: typing.Any) -> bool | None:
        """The verdict on its socket, or None; connects what is not yet connected."""

def bind_client(which: Guard, functions: dict[str, Callable[..., typing.Any]]) -> None:
    """Tell the core the guard, and who does what is not plain."""

def bind_response(response: type[ResponseState]) -> None:
    """Tell the core the class of the responses that it makes."""

def bind_gunzip(
    names: dict[str, typing.Any], find: Callable[[type], TypeSnapshot]
) -> None:
    """Tell the core the globals of pool.response, and who knows what decodes a gzip body."""

def gunzip_body(response: ResponseState) -> bool:
    """Set the body of a new response from its head, if it is gzip that one call can decode."""

def method_behind(cls: type, name: str, ours: object) -> object: ...
def bind_compiled_request(function: Callable[..., typing.Any]) -> None: ...
def bind_methods(bit: str, *functions: Callable[..., typing.Any], **others: object) -> None:
    """Tell the core the methods, and other attributes, of pools or managers that together make
    up one of its bits."""

def bind_members(manager: type, pool: type, connection: type, container: type) -> None:
    """Tell the core the classes whose `__slots__` it reads by their place."""

def bind_socket(cls: type) -> None:
    """Tell the core the class of sockets."""

def has_connection_members(cls: type) -> bool:
    """Whether connections of this class can be read by place."""

def bind_pools(queue_class: type, module: dict[str, typing.Any]) -> None:
    """Tell the core the queue class, and the namespace of `pool.connectionpool`."""

def bind_policy(
    retry: type, default_timeout: object, get_default: Callable[..., float | None]
) -> None:
    """Tell the core the class Retry, and what stands for the default timeout."""

def bind_attempt(
    errors: tuple[type[BaseException], ...],
    timeouts: dict[type, dict[float, typing.Any]],
    levels: dict[int, bool],
) -> None:
    """Tell the core what a connection may fail with, the known timeouts, and the log levels."""

def bind_container(container: type) -> None:
    """Tell the core what keeps a manager's pools."""

class Call:
    """The arguments of one `HTTPConnectionPool.urlopen()`."""

    method: str
    url: str
    body: typing.Any
    headers: typing.Any
    retries: typing.Any
    redirect: typing.Any
    assert_same_host: typing.Any
    timeout: typing.Any
    pool_timeout: typing.Any
    release_conn: typing.Any
    chunked: typing.Any
    body_pos: typing.Any
    preload_content: typing.Any
    decode_content: typing.Any
    enforce_content_length: typing.Any
    response_conn: typing.Any
    others: dict[str, typing.Any] | None
    follows: typing.Any
    def __init__(
        self, method: str, url: str, keywords: dict[str, typing.Any] | None = None
    ) -> None: ...

def request(
    self: RequestMethods,
    method: str,
    url: str,
    body: typing.Any = None,
    fields: typing.Any = None,
    headers: typing.Mapping[str, str] | None = None,
    json: typing.Any = None,
    *,
    timeout: typing.Any = ...,
    **urlopen_kw: typing.Any,
) -> BaseHTTPResponse:
    """`PoolManager.request()`: RequestMethods.request(), compiled."""

not_given: typing.Any

def send(
    owner: RequestMethods,
    method: str,
    url: str,
    body: typing.Any,
    fields: typing.Any,
    headers: typing.Mapping[str, str] | None,
    json: typing.Any,
    timeout: typing.Any,
    keywords: dict[str, typing.Any],
) -> BaseHTTPResponse:
    """What RequestMethods.request() does; `keywords` is the caller's to give away."""

def bind_request(
    json: Callable[..., tuple[typing.Mapping[str, str], bytes]],
    fields: Callable[..., BaseHTTPResponse],
) -> None: ...
def send_from_manager(
    manager: typing.Any, request: tuple[str, str, bool], keywords: dict[str, typing.Any]
) -> BaseHTTPResponse:
    """`PoolManager.urlopen()`; `request` is (method, url, redirect)."""

def send_in_pool(pool: typing.Any, call: Call) -> BaseHTTPResponse:
    """`HTTPConnectionPool.urlopen()`."""

def repeat(pool: typing.Any, call: Call) -> BaseHTTPResponse:
    """urlopen() once more, with what a redirect or a retry has changed in the call."""

def run_exchange(pool: typing.Any, conn: typing.Any, call: Call) -> BaseHTTPResponse:
    """`HTTPConnectionPool._make_request()`."""

def checkout(pool: typing.Any, timeout: float | None) -> BaseHTTPConnection:
    """`HTTPConnectionPool._get_conn()`."""

def give_back(pool: typing.Any, conn: object) -> None:
    """`HTTPConnectionPool._put_conn()`."""

def may_retry_status(retries: typing.Any, method: str, response: typing.Any) -> bool:
    """Whether a policy for retries wants a response's status to be tried again."""

def is_inherited(conn: object) -> bool:
    """Whether a connection was opened in another process, before a fork."""

class ResponseState:
    """Base of `HTTPResponse`: its attributes that are always set, and its end.

    `_dropped()` is called on one that dies with its connection, `_read_data()` for `data` that
    was not read before.
    """

    status: int
    _head: typing.Any  # ResponseHead | None
    _body: bytes | None
    _connection: HTTPConnection | None
    @property
    def data(self) -> bytes:
        """The whole body, read now if it was not before; None when there is none to read."""

class Origins:
    """The pool keys of a manager, by origin."""

    def find(self, manager: typing.Any, url: str) -> tuple[typing.Any, str] | None:
        """(pool, request target) for a known origin, else None."""

    def learn(
        self,
        manager: typing.Any,
        url: str,
        scheme: str,
        key: object,
        settings: dict[str, typing.Any],
    ) -> None:
        """Note the key of the pool that serves `url`; `settings` are not changed any more."""

class ResponseHead:
    """One parsed response head; `body` is its complete body, or None when it must be read."""

    status: int
    version: int
    body: bytes | None
    keep_alive: bool
    chunked: bool
    encoded: bool
    defects: int
    length: int | None
    reader: BodyReader | None
    method: str | None
    @property
    def reason(self) -> str: ...
    @property
    def version_string(self) -> str: ...
    @property
    def has_body(self) -> bool: ...
    @property
    def body_size(self) -> int: ...
    @property
    def length_remaining(self) -> int | None: ...
    @property
    def from_wire(self) -> bool: ...
    @property
    def raw_head(self) -> bytes: ...
    def items(self) -> list[tuple[str, str]]:
        """Field lines in their order."""

    def get(self, name: str) -> str | None:
        """Values of the fields with that name, joined by `, `."""

    def headers(self) -> HTTPHeaderDict: ...
    def original_response(self) -> typing.Any: ...

class Wire:
    """The compiled half of one connection: buffers and protocol state."""

    def __init__(self, user_agent: bytes, limits: Limits | None = None) -> None: ...
    @property
    def reusable(self) -> bool:
        """May this connection carry another request?"""

    def is_idle(self, sock: socket.socket) -> bool:
        """Whether it is reusable and the peer has neither sent anything nor closed."""

    @property
    def failed_in_send(self) -> bool: ...
    @property
    def failed_in_body(self) -> bool: ...
    def prepare(
        self,
        method: str,
        target: str,
        headers: Mapping[typing.Any, typing.Any] | None,
        host: bytes,
        length: int,
    ) -> int:
        """Serialise a request head; ValueError or InvalidURL for what must not be sent."""

    def defer_redirect_body(self) -> None:
        """Do not preload the body of a redirect unless it has arrived with the head."""

    def send(
        self, sock: socket.socket, direct: bool, timeout: float | None, data: _Buffer, chunked: bool
    ) -> bool:
        """Send a piece of the body; False when the peer does not want the rest."""

    def end_chunks(self) -> None:
        """Announce the end of a chunked request body."""

    def exchange(
        self,
        sock: socket.socket,
        direct: bool,
        send_timeout: float | None,
        read_timeout: float | None,
        body: _Buffer | None,
        preload: bool,
    ) -> ResponseHead:
        """Send what is left of the request and receive the head, with `preload` the body."""

class EventLoop:
    """Waits for descriptors and points in time, from one thread; only wake() is for others."""

    def __init__(
        self, backend: typing.Literal["epoll", "kqueue", "poll"] | None = None
    ) -> None: ...
    def watch(self, fd: int, events: int, callback: Callable[[int], object]) -> None:
        """Have run() call `callback(events)` once when reading (1) or writing (2) is possible."""

    def unwatch(self, fd: int) -> None: ...
    def call_at(self, when: float, callback: Callable[[], object]) -> TimerHandle:
        """Have run() call `callback()` at a time.monotonic()."""

    def wake(self) -> None:
        """Let run() return soon; from any thread."""

    def close(self) -> None:
        """Give everything up: what runs ends without a result and its connections are dead."""

class Multiplexer(EventLoop):
    """Runs many exchanges at once, from one thread."""

    @property
    def in_flight(self) -> int:
        """Exchanges that were started and are not yet returned by run()."""

    def start(
        self,
        job: object,
        wire: Wire,
        sock: socket.socket,
        direct: bool,
        send_timeout: float | None,
        read_timeout: float | None,
        deadline: float | None,
        body: _Buffer | None,
        max_body: int,
    ) -> None:
        """Send what prepare() wrote, over a socket that does not block; see run().

        Timeouts count while nothing moves; `deadline` is a time.monotonic().  The connection
        stays registered until forget(), or until it can no longer be reused.
        """

    def cancel(self, job_or_wire: object) -> None:
        """End an exchange without a result; its connection is dead and forgotten."""

    def forget(self, sock: socket.socket) -> None:
        """Take a connection out, as it is; what runs on it is cancelled."""

    def run(
        self, timeout: float | None = None
    ) -> list[tuple[typing.Any, ResponseHead | None, Exception | None]]:
        """Drive everything until there is a result, callback, wake() or the time is up.

        Results are (job, head, None) or (job, None, what Wire.exchange() would have raised);
        the body is in the head.  BodyTooLargeError: more than max_body bytes came.
        """

class TimerHandle:
    """What Multiplexer.call_at() returns."""

    def cancel(self) -> None: ...

class BodyReader:
    """The unread body of one response."""

    complete: bool
    read_timeout: float | None
    def __init__(
        self, wire: Wire, sock: socket.socket, direct: bool, read_timeout: float | None
    ) -> None: ...
    @property
    def closed(self) -> bool: ...
    @property
    def connection_socket(self) -> socket.socket | None: ...
    @property
    def length_remaining(self) -> int | None: ...
    @property
    def chunk_left(self) -> int | None: ...
    def tell(self) -> int: ...
    def close(self) -> None: ...
    def read(self, amt: int | None = None) -> bytes: ...
    def read1(self, amt: int = -1) -> bytes: ...
    def readinto(self, into: typing.Any) -> int: ...
    def next_chunk_length(self) -> int:
        """Bytes of the next chunk, or left in this one; 0 at the end of the body."""

    def read_chunk_data(self, amt: int) -> bytes: ...
    def take_surplus(self) -> bytes:
        """Bytes behind a 101 head, given out once."""

def bind_bulk(request: type[Request], default_timeout: typing.Any) -> None:
    """What `Result.request` is, and its `timeout` when the input gave a URL."""

class RequestFields:
    """The data of `pool.Request`."""

    method: str
    url: str
    headers: Mapping[str, str] | None
    body: typing.Any
    fields: typing.Any
    json: typing.Any
    timeout: typing.Any
    retries: typing.Any
    redirect: bool | None
    meta: typing.Any

def plain_url(url: str) -> int:
    """Length of the origin of an absolute URL that parsing would leave as it is; else 0."""

def result_of(
    request: Request, response: HTTPResponse | None, error: Exception | None
) -> Result: ...

class Result:
    """One request and what came of it: a `response` or an `error`."""

    @property
    def url(self) -> str | None: ...
    @property
    def response(self) -> HTTPResponse | None: ...
    @property
    def error(self) -> Exception | None: ...
    @property
    def request(self) -> Request: ...
    _item: typing.Any
    _trip: typing.Any
    _target: str
    _raw: bool
    @property
    def _origin(self) -> Origin: ...
    @property
    def _deadline(self) -> float | None: ...

class Shelf:
    """The connections of one pool that a run holds."""

    pool: typing.Any
    blocks: bool
    lanes: set[Lane]
    contended: bool
    def __init__(self, pool: typing.Any) -> None: ...

class Lane:
    """A connection in the hands of a run; its socket does not block."""

    conn: typing.Any
    sock: socket.socket
    shelf: Shelf
    wire: Wire
    direct: bool
    unverified: bool
    def __init__(
        self, shelf: Shelf, conn: typing.Any, wire: Wire, direct: bool, unverified: bool
    ) -> None: ...

class Origin:
    """What is sent to one origin: its line of requests, and how its plain ones are sent."""

    shelf: Shelf | None
    plain: bool
    requests: int
    connect_timeout: float | None
    def __init__(self, shelf: Shelf | None, limit: int) -> None: ...
    def set_plain(
        self,
        retries: typing.Any,
        drains: bool,
        timeouts: tuple[float | None, float | None, float | None],
    ) -> None: ...

class Run:
    """One bulk run: the scheduler, and the way of plain requests."""

    concurrency: int
    connections: int
    origins: dict[str, Origin]
    outside: bool
    debug: bool
    closed: bool
    def __init__(
        self,
        engine: typing.Any,
        mux: typing.Any,
        manager: typing.Any,
        source: Iterator[typing.Any],
        limits: tuple[typing.Any, ...],
    ) -> None: ...
    def begin(self, r: Result, lane: Lane) -> None: ...
    def transmit(
        self,
        r: Result,
        lane: Lane,
        send_timeout: float | None,
        read_timeout: float | None,
        body: _Buffer | None,
    ) -> None: ...
    def respond(
        self, head: ResponseHead, method: str, url: str, retries: typing.Any, pool: typing.Any
    ) -> HTTPResponse: ...
    def finish(self, r: Result, response: typing.Any, error: BaseException | None) -> None: ...
    def land(self, r: Result) -> None: ...
    def place(self, r: Result, origin: Origin, first: bool) -> None: ...
    def starve(self, r: Result) -> None: ...
    def feed(self, shelf: Shelf) -> None: ...
    def rest(self, origin: Origin, change: int) -> None: ...
    def adopt(self, lane: Lane) -> None: ...
    def count_connection(self, change: int) -> None: ...
    def settle(self, lane: Lane) -> None: ...
    def discard(self, lane: Lane) -> None: ...
    def oldest_idle(self) -> Lane | None: ...
    def idle_of(self, shelf: Shelf) -> list[Lane]: ...
    def idle_origins(self) -> set[Origin]: ...
    def close(self) -> None: ...

class Results:
    """The iterator over a run's results; leaving it ends the run."""

    def __init__(self, run: Run, raises: bool) -> None: ...
    def __iter__(self) -> Results: ...
    def __next__(self) -> Result: ...
    def __enter__(self) -> Results: ...
    def __exit__(self, *exc_info: object) -> None: ...
    @property
    def in_flight(self) -> int: ...
    def poke(self) -> None: ...
    def close(self) -> None: ...

class QueueClosed(queue.Empty, queue.Full):
    """The pool was closed: `get` finds nothing any more and `put` finds no room."""

class SlotPool:
    """A bounded LIFO queue for tokens that threads check out and return, first come first served.

    Same methods as `queue.LifoQueue`.  `prefill` starts with `maxsize` times None.
    """

    def __init__(self, maxsize: int = 0, prefill: bool = False) -> None: ...
    def get(self, block: bool = True, timeout: float | None = None) -> typing.Any: ...
    def get_nowait(self) -> typing.Any: ...
    def put(self, item: typing.Any, block: bool = True, timeout: float | None = None) -> None: ...
    def put_nowait(self, item: typing.Any) -> None: ...
    def close(self) -> list[typing.Any]: ...
    def snapshot(self) -> list[typing.Any]: ...
    def qsize(self) -> int: ...
    def empty(self) -> bool: ...
    def full(self) -> bool: ...
    @property
    def maxsize(self) -> int: ...
    @property
    def checked_out(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    @property
    def puts(self) -> int: ...

def _slot_stress(
    threads: int, operations: int, *args: typing.Any, **kw: typing.Any
) -> dict[str, typing.Any]: ...
def _slot_states(pool: SlotPool) -> dict[str, typing.Any]: ...
def _bench_head(data: bytes, rounds: int) -> int: ...
def _bench_slots(pool: SlotPool, rounds: int) -> None: ...
def _parse_head_prefix(data: bytes, steps: Iterable[int]) -> tuple[list[int], int, int]: ...
def _parse_head_at(address: int, size: int) -> int: ...
def _read_chunks_at(address: int, size: int) -> tuple[int, int]: ...
