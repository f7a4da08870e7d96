"""The table: each row is a job, who does it, and what we ask of ourselves.

A row's figures have one unit; `less_is_better` tells which way is up.  Ratios are always
"times as good": 2 is twice the rate, or half the time.
"""

from __future__ import annotations

from dataclasses import dataclass

ANY_OTHER = "any other client"  # in `than`: the best of the clients that are not ours


@dataclass(frozen=True)
class AtLeast:
    """`who` is at least `factor` times as good as `than`."""

    factor: float
    than: str
    who: str = "pool"


@dataclass(frozen=True)
class AtMost:
    """The figure of `who` is at most `limit`, in the row's unit."""

    limit: float
    who: str


@dataclass(frozen=True)
class Row:
    key: str
    title: str
    contenders: tuple[str, ...]
    requirements: tuple[AtLeast | AtMost, ...]
    job: str = "get"
    need: str = "pages"  # what the server must have: see server.running; "": no server
    unit: str = "requests/s"
    threads: int = 1
    concurrency: int = 1
    headers: tuple[tuple[str, str], ...] = ()  # instead of, or beside, the three of all rows
    count: int | None = None  # per round; None: as many as fill the time of a round
    rounds: int | None = None  # fewer than the others, where one is long
    slower: float = 1.0  # longer rounds, where they vary more
    size: int = 0  # Settings.size

    @property
    def less_is_better(self) -> bool:
        return self.unit != "requests/s"


CLIENTS = (
    "urllib3", "requests", "httpx", "aiohttp", "geventhttpclient", "pycurl", "pyreqwest", "primp",
    "http_client",
)  # fmt: skip
FAST_CLIENTS = ("urllib3", "geventhttpclient", "pycurl", "pyreqwest", "primp")
IDLE_CONNECTIONS = 1000
HOSTS = 10_000

REQUESTS = (
    Row(
        "get", "one thread, small GET",
        ("pool", *CLIENTS, "bare_socket"),
        (AtLeast(10, "urllib3"), AtLeast(2, ANY_OTHER), AtLeast(0.8, "bare_socket")),
        need="page",
    ),
    Row(
        "field", "one thread, 10 headers, one looked up, 1.5 kB",
        ("pool", *FAST_CLIENTS),
        (AtLeast(9, "urllib3"),),
        job="get_field",
    ),
    Row(
        "tls", "one thread over TLS",
        ("pool", *CLIENTS, "bare_socket"),
        (AtLeast(5.5, "urllib3"), AtLeast(1.5, ANY_OTHER), AtLeast(0.8, "bare_socket")),
        need="tls",
    ),
    Row(
        "threads", "64 threads on one pool",
        ("pool", "urllib3", "pycurl", "pyreqwest", "primp"),
        (AtLeast(8, "urllib3"), AtLeast(1.5, ANY_OTHER)),
        threads=64, need="page",
    ),
    Row(
        "beside", "8 threads beside one CPU-bound thread",
        ("pool", "urllib3", "pycurl", "pyreqwest", "primp"),
        (AtLeast(2, "urllib3"),),
        job="get_beside", threads=8, need="page", slower=2.0,
    ),
    Row(
        "requests", "requests.Session",
        ("requests_on_pool", "requests"),
        (AtLeast(1.5, "requests", who="requests_on_pool"),),
        need="page",
    ),
    Row(
        "post", "POST of 1 kB",
        ("pool", *FAST_CLIENTS),
        (AtLeast(8, "urllib3"),),
        job="post",
    ),
    Row(
        "gzip", "gzip page of 48 kB, decoded",
        ("pool_zlib", "pool_isal", "urllib3"),
        (AtLeast(3, "urllib3", who="pool_zlib"), AtLeast(5, "urllib3", who="pool_isal")),
        job="gzip", headers=(("Accept-Encoding", "gzip"),),
    ),
    Row(
        "large", "10 MB, preloaded",
        ("pool", "urllib3", "pycurl", "pyreqwest", "primp", "bare_socket"),
        (AtLeast(0.95, "bare_socket"),),
        job="large",
    ),
    Row(
        "stream", "10 MB, streamed in blocks of 64 KiB",
        ("pool", "urllib3", "pycurl", "pyreqwest", "bare_socket"),
        (AtLeast(0.85, "bare_socket"),),
        job="large_stream",
    ),
)  # fmt: skip

BULK = (
    Row(
        "bulk", "64 in flight",
        ("pool", "urllib3_threads", "aiohttp", "geventhttpclient", "pycurl_multi", "wrk"),
        (
            AtLeast(0.75, "wrk"), AtLeast(2, "pycurl_multi"), AtLeast(9, "aiohttp"),
            AtLeast(12, "urllib3_threads"),
        ),
        job="get_all", concurrency=64, need="page",
    ),
    Row(
        "bulk_tls", "64 in flight over TLS",
        ("pool", "urllib3_threads", "aiohttp", "geventhttpclient", "pycurl_multi", "wrk"),
        (AtLeast(2, "urllib3_threads"), AtLeast(1, "pycurl_multi")),
        job="get_all", concurrency=64, need="tls",
    ),
)  # fmt: skip

PARTS = (
    Row(
        "head_8", "head parse, 8 headers",
        ("pool_spans", "pool_headers", "client_headers", "httptools"),
        (AtMost(0.35, "pool_spans"), AtLeast(20, "client_headers", who="pool_headers")),
        need="", unit="µs",
    ),
    Row(
        "head_19", "head parse, 19 headers",
        ("pool_spans_19", "pool_headers_19", "client_headers_19", "httptools_19"),
        (AtMost(0.9, "pool_spans_19"), AtLeast(20, "client_headers_19", who="pool_headers_19")),
        need="", unit="µs",
    ),
    Row(
        "slots", "checkout and return",
        ("pool_slots", "pool_slots_c", "lifo_queue"),
        (AtMost(0.150, "pool_slots"), AtMost(0.030, "pool_slots_c")),
        need="", unit="µs",
    ),
    Row(
        "import", "import, beyond a bare interpreter",
        ("import_pool", "manager_pool", "import_urllib3", "manager_urllib3", "import_http_client"),
        (AtLeast(2, "import_urllib3", who="import_pool"),),
        need="", unit="ms", count=3,
    ),
    Row(
        "idle", "memory of one idle pooled connection",
        ("idle_pool", "idle_urllib3"),
        (AtLeast(1, "idle_urllib3", who="idle_pool"),),
        need="many", unit="kB", count=1, rounds=3, size=IDLE_CONNECTIONS,
    ),
    Row(
        "hosts", "memory of one host of 10,000 in a manager",
        ("hosts_pool", "hosts_urllib3"),
        (AtLeast(1, "hosts_urllib3", who="hosts_pool"),),
        need="many", unit="kB", count=1, rounds=1, size=HOSTS,
    ),
    Row(
        "growth", "one request with 10,000 hosts, through one with 1",
        ("growth_pool", "growth_urllib3"),
        (AtMost(1.1, "growth_pool"),),
        need="many", unit="×", count=1, rounds=1, size=HOSTS,
    ),
)  # fmt: skip

ROWS = {row.key: row for row in (*REQUESTS, *BULK, *PARTS)}
