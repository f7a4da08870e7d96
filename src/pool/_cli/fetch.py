"""``python -m pool fetch``: many URLs at a time, into files and a log that a run is resumed from.

One manager and one `imap_unordered`; `fetch_input` has the URLs, `fetch_files` what is left
behind, `fetch_progress` what is shown meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pool._cli.bench_load import kind_of
from pool._cli.demo import positive_float, positive_int
from pool._cli.fetch_files import Directory, Entry, Log
from pool._cli.fetch_input import LONGEST_LINE, EndOfInput, Input
from pool._cli.fetch_progress import Status, Tally
from pool._cli.get import DEFAULT_RETRIES, DEFAULT_TIMEOUT, MAX_REDIRECTS, explain, header_field

if TYPE_CHECKING:
    from pool import Result
    from pool.poolmanager import PoolManager

EXIT_INTERRUPTED = 130
DEFAULT_CONCURRENCY = 64
TRANSIENT = (408, 429, 500, 502, 503, 504)  # statuses that another try may get over
BACKOFF_FACTOR = 0.5  # seconds; the second retry waits twice that, then it doubles
LONGEST_PAUSE = 120  # seconds between two tries, whatever Retry-After says
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}

TOO_LONG = f"longer than {LONGEST_LINE:,} bytes"

DESCRIPTION = """\
Fetch many URLs at a time through one pool of connections. URLs come from the arguments, then
from FILE, or from stdin when neither is given: one a line; empty lines and those that begin
with # are left out. They are read as they are needed, so the input may be endless.

A URL is fetched when its last answer, after redirects, has a status below 400. Everything else
is a failure: other statuses (with --no-fail they count as fetched), addresses and connections
that fail, time limits, certificates, bodies above --max-body, lines that are no URL. Failed
connections and reads, and the statuses 408, 429, 500, 502, 503 and 504, are tried again.

With --jsonl each URL has a line in LOG as soon as it is done. The same command again resumes:
what the log has as fetched is left out, what failed is fetched again; with -o its file must be
there too. Without --jsonl these lines go to stdout, for people.
"""
EPILOG = """\
The keys of a line in LOG: url, status (null if there was no answer), bytes, elapsed (seconds),
file (its name in DIR), error (null, "status 404" or the name of an exception), message.

Exit status: 0 when every URL was fetched, by this run or an earlier one; 1 when one failed, or
when input, DIR or LOG did; 2 for wrong arguments; 130 after Ctrl-C.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "fetch",
        help="fetch many URLs at a time, into files, and resume",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("urls", nargs="*", metavar="URL", help="http:// is assumed when there is no scheme")
    add("-i", "--input", metavar="FILE", help="read URLs from FILE, - for stdin")
    add("-c", "--concurrency", type=positive_int, default=DEFAULT_CONCURRENCY, metavar="N",
        help="requests in flight (default: %(default)s)")  # fmt: skip
    add("--per-host", type=positive_int, metavar="N",
        help="requests in flight to one host (default: no limit but -c)")  # fmt: skip
    add("-o", "--output-dir", metavar="DIR",
        help="write each body to a file in DIR, which is made if need be")  # fmt: skip
    add("--jsonl", metavar="LOG", help="write a line of JSON per URL to LOG, - for stdout")
    add("-H", "--header", action="append", default=[], type=header_field, dest="headers",
        metavar="'K: V'", help="send this header; may be given several times")  # fmt: skip
    add("--compressed", action="store_true", help="ask for compressed bodies and decode them")
    add("-f", "--fail", action=argparse.BooleanOptionalAction, default=True,
        help="whether a status of 400 or more is a failure (default: it is)")  # fmt: skip
    add("--retries", type=count, default=DEFAULT_RETRIES, metavar="N",
        help="tries after a failure that may pass (default: %(default)s)")  # fmt: skip
    add("--timeout", type=positive_float, default=DEFAULT_TIMEOUT, metavar="S",
        help="seconds to connect, and for each wait for data (default: %(default)s)")  # fmt: skip
    add("--deadline", type=positive_float, metavar="S",
        help="seconds for one URL, with its retries and redirects (default: no limit)")  # fmt: skip
    add("--max-body", type=size, metavar="SIZE",
        help="bytes of a decoded body, such as 500k, 10M, 2G; bodies are held in memory until "
        "they are written (default: no limit)")  # fmt: skip
    add("-k", "--insecure", action="store_true", help="do not verify certificates")
    add("--cacert", metavar="FILE", help="trust the certificates in FILE")
    add("-q", "--quiet", action="store_true", help="show no progress and no summary")
    parser.set_defaults(run=run)


def count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def size(text: str) -> int:
    """Bytes of `500k`, `10M`, `2G` or a plain number."""
    unit = UNITS.get(text[-1:].lower(), 1)
    digits = text[:-1] if unit > 1 else text
    if not digits.isascii() or not digits.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500k or 10M")
    return int(digits) * unit


def new_manager(args: argparse.Namespace) -> PoolManager:
    import pool

    if args.insecure:
        pool.disable_warnings(pool.exceptions.InsecureRequestWarning)
    headers = pool.HTTPHeaderDict()
    if args.compressed:
        headers.extend(pool.util.make_headers(accept_encoding=True))
    # What the user gave replaces our defaults; what the user gave twice is sent twice.
    for name, _ in args.headers:
        headers.discard(name)
    for name, value in args.headers:
        headers.add(name, value)
    again = args.retries
    return pool.PoolManager(
        # More hosts than that at a time, and connections to the oldest are given up.
        num_pools=4 * args.concurrency,
        headers=headers,
        timeout=args.timeout,
        # total stays None: it would count redirects as failures.
        retries=pool.Retry(
            total=None, connect=again, read=again, other=again, status=again,
            redirect=MAX_REDIRECTS, status_forcelist=TRANSIENT, raise_on_status=False,
            backoff_factor=BACKOFF_FACTOR, backoff_max=LONGEST_PAUSE,
            retry_after_max=LONGEST_PAUSE,
        ),
        cert_reqs="CERT_NONE" if args.insecure else None,
        ca_certs=args.cacert,
    )  # fmt: skip


class Fetch:
    """One run of the command."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Open what the run needs; OSError or ValueError when that fails."""
        self.args = args
        self.tally = Tally()
        self.interrupt = Interrupt()
        self.directory = Directory(args.output_dir) if args.output_dir else None
        self.log = Log(args.jsonl) if args.jsonl not in (None, "-") else None
        path = args.input if args.input or args.urls else "-"
        self.input = Input(args.urls, path)
        if path == "-" and os.isatty(0) and not args.quiet:
            print("fetch: URLs are read from the terminal", file=sys.stderr)
        self.status: Status | None = None

    def requests(self) -> Iterator[Any]:
        """What `imap_unordered` is fed with: requests, and None while the input has nothing."""
        import pool

        tally = self.tally
        while True:
            try:
                url = self.input.take(wait=tally.taken == tally.finished)
            except EndOfInput:
                return
            if url is None:
                yield None
            elif self.is_done(url):
                tally.earlier += 1
            else:
                tally.taken += 1
                if len(url) > LONGEST_LINE:
                    with self.interrupt:
                        self.finish(Entry(url[:80], error="LocationParseError", message=TOO_LONG))
                else:
                    full = url if "://" in url else f"http://{url}"
                    yield pool.Request("GET", full, meta=(url, time.monotonic()))

    def is_done(self, url: str) -> bool:
        """Whether an earlier run has fetched it."""
        if self.log is None or url not in self.log.succeeded:
            return False
        return self.directory is None or self.directory.has(url)

    def run(self) -> None:
        """Fetch all; OSError when results cannot be written or the input cannot be read."""
        args = self.args
        with contextlib.ExitStack() as stack:
            self.interrupt.install()
            stack.callback(self.interrupt.restore)
            stack.callback(self.input.close)
            manager = stack.enter_context(new_manager(args))
            results = stack.enter_context(
                manager.imap_unordered(
                    self.requests(), concurrency=args.concurrency, per_host=args.per_host,
                    deadline=args.deadline, max_body=args.max_body,
                )
            )  # fmt: skip
            self.input.on_more = results.poke
            if not args.quiet:
                self.status = Status(self.tally, sys.stderr, results, self.input)
                stack.callback(self.status.close)
            for result in results:
                with self.interrupt:
                    self.finish(self.store(result))

    def store(self, result: Result) -> Entry:
        """Write the body where it belongs; return what is to be noted."""
        url, start = result.request.meta
        entry = Entry(url, elapsed=round(time.monotonic() - start, 6))
        if result.response is None:
            error = result.error or RuntimeError("neither response nor error")
            entry.error = kind_of(error).partition(":")[0]
            entry.message = next(explain(error)).partition(": ")[2]
            return entry
        body = result.response.data
        entry.status, entry.bytes = result.response.status, len(body)
        if entry.status >= 400 and self.args.fail:
            entry.error, entry.message = f"status {entry.status}", result.response.reason or None
        elif self.directory is not None:
            entry.file = self.directory.write(url, body)
        return entry

    def finish(self, entry: Entry) -> None:
        """Note what came of a URL."""
        if self.log is not None:
            self.log.write(entry)
        else:
            line = printable(entry.json() if self.args.jsonl else for_people(entry))
            shown: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
            if self.status is not None and self.status.live and sys.stdout.isatty():
                shown = self.status.aside()
            with shown:
                print(line, flush=True)
        tally = self.tally
        tally.bytes += entry.bytes
        if entry.error is not None:
            tally.errors[entry.error] += 1
        tally.finished += 1


def for_people(entry: Entry) -> str:
    if entry.error is not None:
        return f"{entry.url}  failed: {entry.error}" + f": {entry.message}" * bool(entry.message)
    line = f"{entry.url}  {entry.status}  {entry.bytes:,} bytes  {entry.elapsed:.3f} s"
    return f"{line}  {entry.file}" if entry.file else line


def printable(text: str) -> str:
    """What stdout can show; URLs may contain bytes that are no text."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


class Interrupt:
    """Ctrl-C, which is to come before or after a result is noted: held back in a `with` block."""

    def __init__(self) -> None:
        self._requested = False
        self._held = False
        self._before: Any = None

    def install(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._act)

    def restore(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def __enter__(self) -> None:
        self._held = True

    def __exit__(self, *exc_info: object) -> None:
        self._held = False
        # Also what came up where an exception is lost: in the finaliser of a response.
        if self._requested:
            raise KeyboardInterrupt

    def _act(self, number: int, frame: object) -> None:
        self._requested = True
        if not self._held:
            raise KeyboardInterrupt


def run(args: argparse.Namespace) -> int:
    """Fetch all URLs; return 1 when one of them failed."""
    try:
        fetch = Fetch(args)
    except (OSError, ValueError) as error:
        return complain(error)
    exit_status = 0
    try:
        fetch.run()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        exit_status = complain(error)
    except KeyboardInterrupt:
        exit_status = EXIT_INTERRUPTED
    if not args.quiet:
        print(f"fetch: {fetch.tally.summary()}", file=sys.stderr)
    return exit_status or (1 if fetch.tally.failed else 0)


def complain(error: Exception) -> int:
    print(f"python -m pool fetch: {error}", file=sys.stderr)
    return 1
