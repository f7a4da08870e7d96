"""The load: clients that make one request when told, and engines that keep many in flight.

A client is a function without arguments that makes one request and returns (status, bytes of the
body).  Clients of other packages are imported only when they are asked for.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pool._cli.bench_stats import Outcome

POLL_SECONDS = 0.05
WATCH_EVERY = 64  # results of the bulk engine
ENDLESS = float("inf")

Request = Callable[[], tuple[int, int]]
Watch = Callable[[int, float], None]  # requests done, seconds since the start


@dataclass(frozen=True)
class Job:
    """What is asked for, how often, and by how many at once."""

    url: str
    method: str = "GET"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None
    concurrency: int = 50
    requests: int | None = 200
    seconds: float | None = None  # instead of a number of requests
    timeout: float = 10.0
    ca_file: str | None = None
    insecure: bool = False
    engine: str = "threads"

    def fraction(self, done: int, elapsed: float) -> float:
        """How much of the job is done, 0 to 1."""
        if self.seconds is not None:
            return elapsed / self.seconds
        return done / max(self.requests or 0, 1)


@dataclass
class Client:
    """A package's client, ready to be used by all threads."""

    label: str
    request: Request
    connections: Callable[[], int | None] = lambda: None
    manager: Any = None  # a PoolManager of ours, for the bulk engine


def open_client(name: str, job: Job) -> Client:
    """Return the client; ImportError if its package is not installed."""
    return CLIENTS[name](job)


def _pool_manager(package: str, label: str, job: Job) -> Client:
    module = importlib.import_module(package)
    headers = module.HTTPHeaderDict()
    for name, value in job.headers:
        headers.add(name, value)
    trust = {"cert_reqs": "CERT_NONE"} if job.insecure else {"ca_certs": job.ca_file}
    if job.insecure:
        module.disable_warnings(module.exceptions.InsecureRequestWarning)
    manager = module.PoolManager(maxsize=job.concurrency, block=True, **trust)

    def request() -> tuple[int, int]:
        # retries=False: what fails must show, not be repaired.
        response = manager.request(
            job.method, job.url, body=job.body, headers=headers, timeout=job.timeout,
            retries=False, redirect=False,
        )  # fmt: skip
        return response.status, len(response.data)

    def connections() -> int:
        opened: int = manager.connection_from_url(job.url).num_connections
        return opened

    return Client(f"{label} {module.__version__}", request, connections, manager)


def open_pool(job: Job) -> Client:
    return _pool_manager("pool", "fastpool", job)


def open_urllib3(job: Job) -> Client:
    return _pool_manager("urllib3", "urllib3", job)


def open_requests(job: Job) -> Client:
    module = importlib.import_module("requests")
    session = module.Session()
    session.trust_env = False
    session.verify = False if job.insecure else job.ca_file or True
    if job.insecure:
        importlib.import_module("urllib3").disable_warnings()
    adapter = module.adapters.HTTPAdapter(pool_maxsize=job.concurrency, pool_block=True)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    headers = dict(job.headers)

    def request() -> tuple[int, int]:
        response = session.request(
            job.method, job.url, data=job.body, headers=headers, timeout=job.timeout,
            allow_redirects=False,
        )  # fmt: skip
        return response.status_code, len(response.content)

    return Client(f"requests {module.__version__}", request)


def open_httpx(job: Job) -> Client:
    module = importlib.import_module("httpx")
    verify = module.create_ssl_context(verify=job.ca_file) if job.ca_file else not job.insecure
    limits = module.Limits(
        max_connections=job.concurrency, max_keepalive_connections=job.concurrency
    )
    client = module.Client(verify=verify, timeout=job.timeout, limits=limits, trust_env=False)

    def request() -> tuple[int, int]:
        response = client.request(job.method, job.url, content=job.body, headers=job.headers)
        return response.status_code, len(response.content)

    return Client(f"httpx {module.__version__}", request)


CLIENTS: dict[str, Callable[[Job], Client]] = {
    "pool": open_pool,
    "urllib3": open_urllib3,
    "requests": open_requests,
    "httpx": open_httpx,
}


def kind_of(error: BaseException) -> str:
    """The name of what went wrong, under the wrappers of retries and of other packages."""
    inner: object = error
    while isinstance(inner, BaseException):
        error = inner
        inner = getattr(error, "reason", None) or next(iter(error.args), None)
    system = error if isinstance(error, OSError) else error.__cause__
    detail = getattr(system, "strerror", None)
    name = type(error).__name__
    return f"{name}: {detail}" if isinstance(detail, str) else name


class Budget:
    """What is left of a job: threads take one request each until number or time run out."""

    def __init__(self, job: Job) -> None:
        self.left = ENDLESS if job.requests is None else job.requests
        self.start = time.perf_counter()
        self.end = self.start + (ENDLESS if job.seconds is None else job.seconds)
        self.interrupted = False
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            if self.interrupted or self.left < 1 or time.perf_counter() >= self.end:
                return False
            self.left -= 1
            return True

    def elapsed(self) -> float:
        return time.perf_counter() - self.start


@contextlib.contextmanager
def stopped_by_interrupt(budget: Budget) -> Iterator[None]:
    """The first Ctrl-C ends the run when those in flight are answered; the second at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        budget.interrupted = True  # without the lock: this thread may hold it
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop) or signal.default_int_handler
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def run(client: Client, job: Job, watch: Watch) -> tuple[Outcome, bool]:
    """Do the job; return what came out, and whether the user interrupted it."""
    cpu_start = time.process_time()
    budget = Budget(job)
    engine = bulk if job.engine == "bulk" else threads
    with stopped_by_interrupt(budget):
        outcome = engine(client, job, budget, watch)
    outcome.seconds = budget.elapsed()
    outcome.cpu_seconds = time.process_time() - cpu_start
    outcome.connections = client.connections()
    return outcome, budget.interrupted


def threads(client: Client, job: Job, budget: Budget, watch: Watch) -> Outcome:
    """A thread per request in flight."""
    tallies = [Outcome() for _ in range(job.concurrency)]
    running = [
        threading.Thread(target=work, args=(client.request, budget, tally), daemon=True)
        for tally in tallies
    ]
    for thread in running:
        thread.start()
    for thread in running:
        while thread.is_alive():
            thread.join(POLL_SECONDS)
            watch(sum(tally.answered + tally.failed for tally in tallies), budget.elapsed())
    total = Outcome()
    for tally in tallies:
        total.absorb(tally)
    return total


def work(request: Request, budget: Budget, tally: Outcome) -> None:
    """Requests, one after another; only this thread writes to `tally`."""
    clock = time.perf_counter
    while budget.take():
        start = clock()
        try:
            status, size = request()
        except Exception as error:  # whatever a package raises is a failed request
            tally.errors[kind_of(error)] += 1
        else:
            tally.latencies.append(clock() - start)
            tally.statuses[status] += 1
            tally.bytes += size


def bulk(client: Client, job: Job, budget: Budget, watch: Watch) -> Outcome:
    """All from one thread, by `imap_unordered`.  A latency begins when a slot is free."""
    pool: Any = importlib.import_module("pool")
    outcome = Outcome()
    clock = time.perf_counter

    def requests() -> Iterator[Any]:
        while budget.take():
            yield pool.Request(job.method, job.url, body=job.body, meta=clock())

    headers = pool.HTTPHeaderDict(job.headers)
    results = client.manager.imap_unordered(
        requests(), concurrency=job.concurrency, headers=headers, timeout=job.timeout,
        retries=False, redirect=False,
    )  # fmt: skip
    for seen, result in enumerate(results, 1):
        if result.response is None:
            outcome.errors[kind_of(result.error)] += 1
        else:
            outcome.latencies.append(clock() - result.request.meta)
            outcome.statuses[result.response.status] += 1
            outcome.bytes += len(result.response.data)
        if seen % WATCH_EVERY == 0:
            watch(seen, budget.elapsed())
    return outcome
