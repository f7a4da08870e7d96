"""Every hostile and sloppy answer, all at the same time in one Multiplexer.

The blocking driver is the standard: each case must come to the same end in both, whole and
byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.adversity import cases
from tests.support.multiplexing import BACKENDS, Connection, Loop
from tests.support.scripted import Flood, Reset, ScriptedServer

# A reset overtakes what was sent before it: how much of it arrives is chance.
CASES = {
    case.name: case
    for case in cases.FRAMING
    if not any(isinstance(step, (Reset, Flood)) for step in case.after)
}


def outcome(conn: Connection, head: Any, error: BaseException | None) -> tuple[Any, ...]:
    if error is not None:
        place = (getattr(error, "rule", None), getattr(error, "offset", None))
        return type(error).__name__, str(error), place
    return head.status, head.raw_head, head.body, head.defects, conn.wire.reusable


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def blocking(case: cases.Case, loop: Loop, port: int) -> tuple[Any, ...]:
    conn = loop.connect(port)
    try:
        return outcome(conn, conn.get_blocking(method=case.method), None)
    except Exception as error:
        return outcome(conn, None, error)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("piece", [0, 1])
def test_ends_as_with_the_blocking_driver(servers: ExitStack, piece: int, backend: str) -> None:
    loop = Loop(backend)
    servers.callback(loop.close)
    expected, running = {}, {}
    for name, case in CASES.items():
        scripts = [case.script(), case.script(piece if len(case.wire) < 5000 else 1000)]
        server = servers.enter_context(ScriptedServer(scripts))
        expected[name] = blocking(case, loop, server.port)
        running[name] = conn = loop.connect(server.port)
        conn.start(name, method=case.method)
    found = {}
    while len(found) < len(CASES):
        for name, head, error in loop.results(1, 60):
            found[name] = end = outcome(running[name], head, error)
            if CASES[name].after and end[-1] is False:
                # The peer has closed behind its answer; the blocking driver looks at reuse.
                found[name] = (*end[:-1], expected[name][-1])
    assert {name: end for name, end in found.items() if end != expected[name]} == {}
    assert found.keys() == CASES.keys() and loop.mux.in_flight == 0
