"""The framing cases of `tests.adversity.cases`, as scenarios: one answer, then three more."""

from __future__ import annotations

import dataclasses
import functools

from tests.adversity.arena import Arena, Scenario, add
from tests.adversity.cases import FRAMING, REFUSED, Case
from tests.adversity.harness import Answer
from tests.support.scripted import HalfClose


def over_tls(case: Case) -> Case:
    """FIN without close_notify is nobody's end of a body (RFC 9112 9.8)."""
    if HalfClose() in case.after and case.right == (b"hello",):
        return dataclasses.replace(case, right=(REFUSED,))
    return case


def outcome(arena: Arena, case: Case, url: str) -> Answer | None:
    """The answer, or None where the library refused it."""
    if REFUSED in case.right:
        try:
            return arena.fetch(case.method, url, retries=False, headers=case.headers)
        except Exception as error:
            assert isinstance(error, arena.errors.HTTPError), repr(error)
            assert not isinstance(error, arena.errors.TimeoutError), repr(error)
            return None
    return arena.fetch(case.method, url, retries=False, headers=case.headers)


def check(case: Case, answer: Answer) -> None:
    assert answer.body in case.right, f"accepted {answer!r}"
    assert case.status in (None, answer.status)
    assert case.absent is None or case.absent not in answer.headers
    if case.present is not None:
        name, value = case.present
        assert answer.headers[name] == value


def play(case: Case, arena: Arena) -> None:
    if arena.tls:
        case = over_tls(case)
    server = arena.serve(case.script())
    answer = outcome(arena, case, server.url("/?token=first"))
    if answer is not None:
        check(case, answer)
        server.wait_for(case.script())  # bytes behind the answer count once they are there
    arena.own_answers(server)
    reused = server.connections() == 1
    if answer is None:
        assert not reused, "connection reused after an error"
    elif case.reuse is not None:
        assert reused is case.reuse, f"connection {'' if reused else 'not '}reused"


for _case in FRAMING:
    add(Scenario(_case.name, functools.partial(play, _case)))
