"""The event back ends of other systems compile, without warnings, for these systems.

They are compiled by clang as the package `ziglang` brings it, with the headers of macOS, the
BSDs and Windows; what they do can only be tested there.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[2] / "src" / "_fastpool"
pytestmark = pytest.mark.skipif(not CORE.exists(), reason="needs a source tree")

PROGRAM = """
#include "event.h"
#if FP_EVENTS_DEFAULT != EXPECTED
#error "not the back end of this system"
#endif
int main(void) {
    int err = 0, pair[2], set = fp_epoll_open(&err) + fp_kqueue_open(&err);
    fp_event out[4];
    void *table = fp_poll_open(&err);
    if (fp_wake_open(pair, &err)) return 1;
    fp_wake_ring(pair), fp_wake_drain(pair), fp_wake_close(pair);
    fp_epoll_arm(set, 0, 1, FP_EDGE, 0, &err), fp_epoll_wait(set, out, 4, 0, &err);
    fp_epoll_drop(set, 0), fp_epoll_close(set);
    fp_kqueue_arm(set, 0, 1, FP_EDGE, &err), fp_kqueue_wait(set, out, 4, 0, &err);
    fp_kqueue_drop(set, 0), fp_kqueue_close(set);
    fp_poll_arm(table, 0, 1, FP_READ, &err), fp_poll_want(table, 0, 1, FP_WRITE);
    fp_poll_wait(table, out, 4, 0, &err), fp_poll_drop(table, 1), fp_poll_close(table);
    return fp_send2(0, "", 0, "", 0, &err) + fp_recv(0, 0, 0, &err) + fp_poll(0, 1, 0, &err)
           + fp_recv_waiting(0, 0, 0, &err) + fp_is_quiet(0) + fp_set_blocking(0, fp_blocks(0))
           + fp_set_limits(0, 0) + (int)fp_now_ns();
}
"""
TARGETS = {
    "x86_64-linux-musl": "FP_EPOLL",
    "aarch64-macos": "FP_KQUEUE",
    "x86_64-macos": "FP_KQUEUE",
    "x86_64-freebsd": "FP_KQUEUE",
    "x86_64-netbsd": "FP_KQUEUE",
    "x86_64-windows-gnu": "FP_POLL",
    "x86-windows-gnu": "FP_POLL",
}


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_back_ends_compile(target: str, tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    source = tmp_path / "events.c"
    source.write_text(PROGRAM)
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
    command = [
        sys.executable, "-m", "ziglang", "cc", "-target", target, *flags, "-fno-strict-aliasing",
        f"-DEXPECTED={TARGETS[target]}", f"-I{CORE}", "-c", str(source), "-o", str(tmp_path / "o"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
