"""``python -m pool bench URL``: load on a server of yours, alone or beside other clients."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from contextlib import ExitStack
from typing import IO, Any

from pool._cli import bench_load, bench_stats
from pool._cli.bench_load import Job
from pool._cli.bench_stats import Contestant, Outcome
from pool._cli.bench_worker import Absent, RemoteClient
from pool._cli.demo import positive_float, positive_int
from pool._cli.get import header_field, read_argument
from pool._cli.progress import Progress

DEFAULT_REQUESTS = 200
DEFAULT_CONCURRENCY = 50
DEFAULT_ROUNDS = 5
EXIT_INTERRUPTED = 130
UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "bench",
        help="put load on a server of yours and report latencies",
        description="Make many requests at once through one pool of connections and report "
        "rate, latencies, status codes and errors. Redirects are not followed and nothing is "
        "retried. Use it on servers that are yours.",
        epilog="Exit status: 0, or 1 when a request failed, or 2 for wrong arguments.",
    )
    add = parser.add_argument
    add("url", metavar="URL", help="http:// is assumed when there is no scheme")
    add("-n", type=positive_int, dest="requests", metavar="N",
        help=f"number of requests (default: {DEFAULT_REQUESTS})")  # fmt: skip
    add("-c", type=positive_int, dest="concurrency", metavar="N", default=DEFAULT_CONCURRENCY,
        help="requests in flight, and connections (default: %(default)s)")  # fmt: skip
    add("-z", type=duration, dest="seconds", metavar="DURATION",
        help="for a time, such as 10s, 500ms or 2m, instead of a number of requests")  # fmt: skip
    add("-X", "--request", metavar="METHOD", help="default: GET, or POST with a body")
    add("-H", "--header", action="append", default=[], type=header_field, dest="headers",
        metavar="'K: V'", help="send this header; may be given several times")  # fmt: skip
    add("-d", "--data", metavar="DATA", help="send DATA; @FILE reads a file, @- stdin")
    add("--timeout", type=positive_float, default=10.0, metavar="S",
        help="seconds to connect, and for each wait for data (default: %(default)s)")  # fmt: skip
    add("-k", "--insecure", action="store_true", help="do not verify certificates")
    add("--cacert", metavar="FILE", help="trust the certificates in FILE")
    add("--engine", choices=("threads", "bulk"),
        help="a thread per request in flight, or imap_unordered from one thread "
        "(default: bulk, or threads with --vs)")  # fmt: skip
    add("--vs", type=client_names, default=[], metavar="CLIENT[,CLIENT]",
        help="do the same with other clients, each in its own process, in turns: "
        + ", ".join(name for name in bench_load.CLIENTS if name != "pool"))  # fmt: skip
    add("--rounds", type=positive_int, default=DEFAULT_ROUNDS, metavar="N",
        help="turns of each client with --vs (default: %(default)s)")  # fmt: skip
    add("--json", nargs="?", const="-", metavar="FILE",
        help="write the figures as JSON to FILE, or to stdout instead of the report")  # fmt: skip
    parser.set_defaults(run=run)


def duration(text: str) -> float:
    """Seconds of `10s`, `500ms`, `2m`, `1h` or a plain number."""
    unit = next((unit for unit in ("ms", "s", "m", "h") if text.endswith(unit)), "")
    try:
        seconds = float(text.removesuffix(unit)) * UNITS.get(unit, 1.0)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 10s or 2m")
    return seconds


def client_names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in bench_load.CLIENTS or name == "pool":
            raise argparse.ArgumentTypeError(f"{name!r} is no client that we know")
    return names


def job_of(args: argparse.Namespace) -> Job:
    import pool

    body = None if args.data is None else read_argument(args.data)
    has_bulk = hasattr(pool.PoolManager, "imap_unordered")
    engine = args.engine or ("bulk" if has_bulk and not args.vs else "threads")
    return Job(
        url=args.url if "://" in args.url else f"http://{args.url}",
        method=args.request or ("GET" if body is None else "POST"),
        headers=args.headers,
        body=body,
        concurrency=args.concurrency,
        requests=None if args.seconds else args.requests or DEFAULT_REQUESTS,
        seconds=args.seconds,
        timeout=args.timeout,
        ca_file=args.cacert,
        insecure=args.insecure,
        engine=engine,
    )


def run(args: argparse.Namespace) -> int:
    """Put the load on; return 1 when a request failed."""
    try:
        job = job_of(args)
        return compare(job, args) if args.vs else alone(job, args)
    except (OSError, ValueError) as error:  # @FILE, --cacert, the file of --json
        print(f"python -m pool bench: {error}", file=sys.stderr)
        return 1


def alone(job: Job, args: argparse.Namespace) -> int:
    client = bench_load.open_client("pool", job)
    progress = Progress("load", sys.stderr)

    def watch(done: int, elapsed: float) -> None:
        rate = done / elapsed if elapsed else 0.0
        progress.update(job.fraction(done, elapsed), f"{rate:,.0f} requests/s")

    outcome, interrupted = bench_load.run(client, job, watch)
    progress.finish(
        job.fraction(outcome.answered + outcome.failed, outcome.seconds),
        f"{outcome.rate:,.0f} requests/s",
    )
    if args.json:
        contestant = Contestant("pool", client.label, [outcome])
        write_json(args.json, job, [contestant])
    if args.json != "-":
        print(f"{job.method} {job.url}, {job.concurrency} in flight, {client.label}, {job.engine}")
        print(*bench_stats.summary_lines(outcome), sep="\n")
    return EXIT_INTERRUPTED if interrupted else int(outcome.failed > 0)


def compare(job: Job, args: argparse.Namespace) -> int:
    """The clients in turns, every other round backwards: a disturbance then hits all alike."""
    share = dataclasses.replace(
        job,
        requests=None if job.requests is None else max(job.requests // args.rounds, 1),
        seconds=None if job.seconds is None else job.seconds / args.rounds,
    )
    warm_up = dataclasses.replace(job, requests=job.concurrency, seconds=None)
    progress = Progress("rounds", sys.stderr)
    with ExitStack() as stack:
        remotes = start_all(["pool", *args.vs], share, stack)
        found = [Contestant(remote.name, remote.label) for remote in remotes]
        for remote in remotes:
            remote.run(warm_up)
        pairs = list(zip(remotes, found, strict=True))
        for number in range(args.rounds):
            for remote, contestant in pairs if number % 2 == 0 else pairs[::-1]:
                note = f"{remote.label}, round {number + 1} of {args.rounds}"
                progress.update(number / args.rounds, note)
                contestant.rounds.append(remote.run(share))
    progress.finish(1.0, f"{args.rounds} rounds")
    if args.json:
        write_json(args.json, job, found)
    if args.json != "-":
        print(f"{job.method} {job.url}, {job.concurrency} in flight, {job.engine}")
        print(*bench_stats.comparison_lines(found), sep="\n")
        complain(found)
    # Another client's failures are shown, but they are not ours.
    return int(found[0].total.failed > 0)


def start_all(names: list[str], job: Job, stack: ExitStack) -> list[RemoteClient]:
    remotes = []
    for name in names:
        # The bulk engine is ours alone: the others have threads.
        own = job if name == "pool" else dataclasses.replace(job, engine="threads")
        try:
            remotes.append(RemoteClient(name, own))
        except Absent as error:
            print(f"{name} does not take part: {error}", file=sys.stderr)
        else:
            stack.callback(remotes[-1].close)
    return remotes


def complain(found: list[Contestant]) -> None:
    for contestant in found:
        for kind, count in contestant.total.errors.most_common():
            print(f"{contestant.label}: {count:,} times {kind}")


def write_json(target: str, job: Job, found: list[Contestant]) -> None:
    report: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **bench_stats.machine(),
        "url": job.url,
        "method": job.method,
        "concurrency": job.concurrency,
        "engine": job.engine,
        "clients": [client_json(contestant, found[0]) for contestant in found],
    }
    if target == "-":
        dump(report, sys.stdout)
    else:
        with open(target, "w", encoding="utf-8") as file:
            dump(report, file)


def client_json(contestant: Contestant, first: Contestant) -> dict[str, Any]:
    total: Outcome = contestant.total
    fields = {"name": contestant.name, "label": contestant.label, **total.to_json()}
    if contestant is not first:
        fields["times"] = first.times(contestant)
    if len(contestant.rounds) > 1:
        fields["requests_per_second"] = contestant.rate
        fields["rounds"] = [outcome.rate for outcome in contestant.rounds]
    return fields


def dump(report: dict[str, Any], file: IO[str]) -> None:
    json.dump(rounded(report), file, indent=1, ensure_ascii=False)
    file.write("\n")


def rounded(value: Any) -> Any:
    """Six digits: more than any clock here tells."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
