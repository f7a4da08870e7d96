"""Who takes part: each contender is a module under `benchmarks`, in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass

OURS = "ours"
CLIENT = "client"  # somebody else's HTTP client
FLOOR = "floor"  # no client: what the kernel, or the least of code, costs


@dataclass(frozen=True)
class Contender:
    name: str
    target: str
    kind: str = CLIENT
    note: str = ""  # behind its label
    without: tuple[str, ...] = ()  # modules that it may not import
    requires: tuple[str, ...] = ()  # modules without which it is absent


def peer(name: str, kind: str = CLIENT, module: str = "", **more: object) -> Contender:
    return Contender(name, f"peers.{module or name}", kind, **more)  # type: ignore[arg-type]


def part(name: str, target: str, kind: str = CLIENT) -> Contender:
    return Contender(name, f"parts.{target}", kind)


CONTENDERS = {
    contender.name: contender
    for contender in (
        peer("pool", OURS),
        peer("pool_zlib", OURS, "pool", note=" with zlib", without=("isal",)),
        peer("pool_isal", OURS, "pool", note=" with isal", requires=("isal.isal_zlib",)),
        peer("requests_on_pool", OURS),
        peer("urllib3"),
        peer("urllib3_threads", module="urllib3", note=", 64 threads"),
        peer("requests"),
        peer("httpx"),
        peer("aiohttp"),
        peer("geventhttpclient"),
        peer("pycurl"),
        peer("pycurl_multi"),
        peer("pyreqwest"),
        peer("primp"),
        peer("http_client"),
        peer("bare_socket", FLOOR),
        peer("wrk", FLOOR),
        part("pool_spans", "head:pool_spans", OURS),
        part("pool_spans_19", "head:pool_spans_19", OURS),
        part("pool_headers", "head:pool_headers", OURS),
        part("pool_headers_19", "head:pool_headers_19", OURS),
        part("client_headers", "head:client_headers"),
        part("client_headers_19", "head:client_headers_19"),
        part("httptools", "head:httptools"),
        part("httptools_19", "head:httptools_19"),
        part("pool_slots", "slots:python", OURS),
        part("pool_slots_c", "slots:compiled", OURS),
        part("lifo_queue", "slots:lifo_queue"),
        part("import_pool", "imports:import_pool", OURS),
        part("import_urllib3", "imports:import_urllib3"),
        part("import_http_client", "imports:import_http_client"),
        part("manager_pool", "imports:manager_pool", OURS),
        part("manager_urllib3", "imports:manager_urllib3"),
        part("idle_pool", "memory:idle_pool", OURS),
        part("idle_urllib3", "memory:idle_urllib3"),
        part("hosts_pool", "memory:hosts_pool", OURS),
        part("hosts_urllib3", "memory:hosts_urllib3"),
        part("growth_pool", "memory:growth_pool", OURS),
        part("growth_urllib3", "memory:growth_urllib3"),
        part("round_pool", "memory:round_pool", OURS),
        part("round_urllib3", "memory:round_urllib3"),
    )
}
