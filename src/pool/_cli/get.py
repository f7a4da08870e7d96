"""``python -m pool get URL...``: fetch URLs through one manager, with curl's habits."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pool.poolmanager import PoolManager
    from pool.response import BaseHTTPResponse

DEFAULT_TIMEOUT = 30.0  # seconds, for connecting and for each wait for data
DEFAULT_RETRIES = 2
MAX_REDIRECTS = 20
BLOCK_BYTES = 65536


class Failure(Exception):
    """A URL could not be fetched; the text is for the user."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "get",
        help="fetch URLs, like curl",
        description="Fetch URLs one after another through one pool of connections.",
        epilog="Exit status: 0, or 1 when a URL failed, or 2 for wrong arguments.",
    )
    add = parser.add_argument
    add("urls", nargs="+", metavar="URL", help="http:// is assumed when there is no scheme")
    add("-i", "--include", action="store_true", help="print the status line and headers too")
    add("-o", "--output", metavar="FILE", help="write the bodies to FILE instead of stdout")
    add("-X", "--request", metavar="METHOD", help="default: GET, or POST with a body")
    add("-H", "--header", action="append", default=[], type=header_field, dest="headers",
        metavar="'K: V'", help="send this header; may be given several times")  # fmt: skip
    body = parser.add_mutually_exclusive_group()
    body.add_argument("-d", "--data", metavar="DATA",
                      help="send DATA as a form; @FILE reads a file, @- stdin")  # fmt: skip
    body.add_argument("--json", metavar="DATA",
                      help="send DATA as JSON and ask for JSON; @FILE and @- as above")  # fmt: skip
    follow = parser.add_mutually_exclusive_group()
    follow.add_argument("-L", "--location", action="store_true", default=True,
                        help="follow redirects (the default)")  # fmt: skip
    follow.add_argument("--no-redirect", action="store_false", dest="location",
                        help="print a redirect instead of following it")  # fmt: skip
    add("-f", "--fail", action="store_true", help="a status of 400 or more is a failure")
    add("--compressed", action="store_true", help="ask for a compressed body and decode it")
    add("-k", "--insecure", action="store_true", help="do not verify certificates")
    add("--cacert", metavar="FILE", help="trust the certificates in FILE")
    add("--timeout", type=float, default=DEFAULT_TIMEOUT, metavar="S",
        help="seconds to connect, and for each wait for data (default: %(default)s)")  # fmt: skip
    add("--retries", type=int, default=DEFAULT_RETRIES, metavar="N",
        help="tries after a failed connection or read (default: %(default)s)")  # fmt: skip
    add("-v", "--timings", action="store_true", help="print a line of timings per URL to stderr")
    parser.set_defaults(run=run)


def header_field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not 'Name: value'")
    return name.strip(), value.strip()


class Clock:
    """Times of one URL, in seconds, from the start of its request."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.connecting = 0.0
        self.connections = 0
        self.first_byte = 0.0

    def elapsed(self) -> float:
        return time.perf_counter() - self.start

    def line(self, status: int, size: int) -> str:
        if self.connections:
            connection = f"connect {self.connecting * 1e3:.2f} ms"
        else:
            connection = "connection reused"
        return (
            f"{status}  {connection}  first byte {self.first_byte * 1e3:.2f} ms"
            f"  total {self.elapsed() * 1e3:.2f} ms  {size} bytes"
        )


class Session:
    """One manager for all URLs, and the clock of the URL at hand."""

    def __init__(self, args: argparse.Namespace) -> None:
        import pool

        self.args = args
        self.clock = Clock()
        self.headers, self.body = request_parts(args)
        if args.insecure:
            pool.disable_warnings(pool.exceptions.InsecureRequestWarning)
        self.manager: PoolManager = pool.PoolManager(
            timeout=args.timeout,
            # total stays None: it would count redirects as failures.
            retries=pool.Retry(
                total=None, connect=args.retries, read=args.retries, other=args.retries,
                redirect=MAX_REDIRECTS,
            ),
            cert_reqs="CERT_NONE" if args.insecure else None,
            ca_certs=args.cacert,
        )  # fmt: skip
        self.manager.pool_classes_by_scheme = timed_pools(self)

    def request(self, url: str) -> BaseHTTPResponse:
        """Send one request; return the response with its body unread."""
        method = self.args.request or ("GET" if self.body is None else "POST")
        self.clock = Clock()
        response = self.manager.request(
            method, url, headers=self.headers, body=self.body,
            redirect=self.args.location, preload_content=False,
        )  # fmt: skip
        self.clock.first_byte = self.clock.elapsed()
        return response


def timed_pools(session: Session) -> dict[str, Any]:
    """Return pool classes that tell the session's clock how long their connections connect.

    The connections' own classes stay as they are: an overridden connect() would keep them from
    the compiled exchange.
    """
    from pool.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    def timed(pool_class: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
        class TimedPool(pool_class):  # type: ignore[valid-type, misc]
            def _validate_conn(self, conn: Any) -> None:
                if conn.is_closed:
                    start = time.perf_counter()
                    try:
                        conn.connect()
                    finally:
                        session.clock.connections += 1
                        session.clock.connecting += time.perf_counter() - start
                super()._validate_conn(conn)

        TimedPool.__name__ = pool_class.__name__  # error texts contain it
        return TimedPool

    return {"http": timed(HTTPConnectionPool), "https": timed(HTTPSConnectionPool)}


def request_parts(args: argparse.Namespace) -> tuple[Any, bytes | None]:
    """Return (headers, body) as the arguments ask."""
    import pool

    headers = pool.HTTPHeaderDict()
    body = None
    if args.compressed:
        headers.extend(pool.util.make_headers(accept_encoding=True))
    if args.json is not None:
        headers.extend({"Content-Type": "application/json", "Accept": "application/json"})
        body = read_argument(args.json)
    elif args.data is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = read_argument(args.data)
    # What the user gave replaces our defaults; what the user gave twice is sent twice.
    for name, _ in args.headers:
        headers.discard(name)
    for name, value in args.headers:
        headers.add(name, value)
    return headers, body


def read_argument(text: str) -> bytes:
    if text == "@-":
        return sys.stdin.buffer.read()
    if text.startswith("@"):
        with open(text[1:], "rb") as file:
            return file.read()
    return text.encode()


class Output:
    """Where bodies go.  A file is made when the first answer is there, not before."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def write(self, data: bytes) -> None:
        if self._file is None:
            # SIM115: the file lives as long as this object, see close().
            self._file = open(self.path, "wb") if self.path else sys.stdout.buffer  # noqa: SIM115
        if not self.path and b"\0" in data and sys.stdout.isatty():
            raise Failure("the body is binary and stdout is a terminal: use -o FILE")
        self._file.write(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.flush()
            if self.path:
                self._file.close()


def head_bytes(response: BaseHTTPResponse) -> bytes:
    lines = [f"{response.version_string} {response.status} {response.reason or ''}".rstrip()]
    lines += [f"{name}: {value}" for name, value in response.headers.iteritems()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def fetch(session: Session, url: str, output: Output) -> None:
    """Fetch one URL to `output`; raise Failure with a text for the user."""
    args = session.args
    response = session.request(url if "://" in url else f"http://{url}")
    size = 0
    try:
        output.write(head_bytes(response) if args.include else b"")
        for block in response.stream(BLOCK_BYTES, decode_content=True):
            size += len(block)
            output.write(block)
    finally:
        response.close()  # after a whole body the connection is back in the pool already
    if args.timings:
        print(f"{url}  {session.clock.line(response.status, size)}", file=sys.stderr)
    if args.fail and response.status >= 400:
        raise Failure(f"status {response.status}")


def explain(error: BaseException) -> Iterator[str]:
    """Yield the lines that tell the user what went wrong and what to do."""
    # MaxRetryError wraps the error that matters, and repeats the URL.
    reason = getattr(error, "reason", None)
    cause = reason if isinstance(reason, BaseException) else error
    yield f"{type(cause).__name__}: {cause}" if not isinstance(cause, Failure) else str(cause)
    hint = getattr(error, "hint", None) or getattr(cause, "hint", None)
    if hint:
        yield f"hint: {hint}"


def run(args: argparse.Namespace) -> int:
    """Fetch all URLs; return 1 when one of them failed."""
    import pool

    output = Output(args.output)
    failures = 0
    try:
        session = Session(args)
        for url in args.urls:
            try:
                fetch(session, url, output)
            except BrokenPipeError:
                raise
            except (Failure, pool.exceptions.HTTPError, OSError, ValueError) as error:
                failures += 1
                for line in explain(error):
                    print(f"{url}: {line}", file=sys.stderr)
        session.manager.clear()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:  # @FILE, --timeout, the output's last bytes
        failures += 1
        print(f"python -m pool get: {error}", file=sys.stderr)
    finally:
        output.close()
    return 1 if failures else 0
