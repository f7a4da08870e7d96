"""Peak resident memory of a large body, streamed or preloaded, in a process of its own.

    python -m tests.memory.run --impl pool stream     # 1 GiB by stream(65536)
    python -m tests.memory.run --impl pool preload    # 256 MiB at once

Extra memory is the highest VmHWM during the request less VmRSS before it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from tests.support import counters, implementations, nginx

MIB = 1024 * 1024
ROOT = Path(__file__).resolve().parents[2]
STREAM_LIMIT = 40 * MIB
PRELOAD_FACTOR = 1.1
CHUNKED_FACTOR = 2.0  # the size is not known beforehand: the body may be copied once
MODES = ("stream", "preload")


def warm(manager: Any, url: str) -> None:
    """Modules are loaded, and buffers allocated, by small bodies: what a large one would leave
    behind in the allocator might serve the measured one."""
    for path in ("/echo", "/chunked-echo"):
        manager.request("GET", urljoin(url, f"{path}?token=warm"))


def fetch(name: str, mode: str, url: str) -> tuple[int, int]:
    """(bytes received, extra peak bytes) of one GET in this process."""
    module = implementations.load(name)
    with module.PoolManager(timeout=60) as manager:
        warm(manager, url)
        counters.reset_peak()
        before = counters.memory("VmRSS")
        if mode == "stream":
            response = manager.request("GET", url, preload_content=False)
            received = sum(len(part) for part in response.stream(65536))
            response.release_conn()
        else:
            received = len(manager.request("GET", url).data)
        return received, counters.memory("VmHWM") - before


def measure(name: str, mode: str, url: str) -> tuple[int, int]:
    """`fetch` in a fresh interpreter: this process's own peak would hide the body's."""
    command = [sys.executable, "-m", "tests.memory.run", "--impl", name, mode, "--url", url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(done.stderr)
    received, extra = json.loads(done.stdout)
    return received, extra


def within_limit(mode: str, size: int, extra: int, chunked: bool = False) -> bool:
    if mode == "stream":
        return extra < STREAM_LIMIT
    return extra <= (CHUNKED_FACTOR if chunked else PRELOAD_FACTOR) * size


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    implementations.add_argument(parser)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--size", type=int, help="MiB; 1024 to stream, 256 to preload")
    parser.add_argument("--chunked", action="store_true", help="chunked instead of a length")
    parser.add_argument("--url", help=argparse.SUPPRESS)  # the measured process itself
    options = parser.parse_args()
    if options.url:
        print(json.dumps(fetch(options.impl, options.mode, options.url)))
        return 0
    size = (options.size or {"stream": 1024, "preload": 256}[options.mode]) * MIB
    with nginx.running() as server:
        path = ("/chunked" if options.chunked else "") + server.sparse_file(size)
        received, extra = measure(options.impl, options.mode, server.url(path))
    print(
        f"{options.impl}: {options.mode} of {size // MIB} MiB: {received} bytes received, "
        f"peak {extra / MIB:+.1f} MiB ({extra / size:.3f} x the body)"
    )
    good = received == size and within_limit(options.mode, size, extra, options.chunked)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
