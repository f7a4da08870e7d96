"""Every framing case, in every reading mode, whole and byte by byte.

After each one: only the library's errors, slots and sockets back, connection reused only
where the case allows, and the following requests get their own answers.
"""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.adversity.cases import FRAMING, REFUSED, Case
from tests.adversity.harness import MODES, Answer, attempt, hostile, next_requests_get_their_own

_names = [case.name for case in FRAMING]
assert len(_names) == len(set(_names)), "two cases share a name"


def check_outcome(case: Case, answer: Answer | str) -> None:
    if isinstance(answer, str):
        assert REFUSED in case.right, f"refused with {answer}"
        return
    bodies = [body for body in case.right if isinstance(body, bytes)]
    assert bodies, f"accepted {answer!r}"
    assert answer.body in bodies
    if case.status is not None:
        assert answer.status == case.status
    if case.absent is not None:
        assert case.absent not in answer.headers
    if case.present is not None:
        name, value = case.present
        assert answer.headers[name] == value


def run(module: ModuleType, case: Case, mode: str, piece: int = 0) -> None:
    with hostile(module, case.script(piece)) as (server, pool):
        answer = attempt(
            module, pool, case.method, "/?token=first", mode, retries=False, headers=case.headers
        )
        check_outcome(case, answer)
        if not isinstance(answer, str):
            # Bytes behind the answer, and its end, count from when they have arrived.
            server.wait_for(case.script(piece))
        next_requests_get_their_own(pool)
        reused = server.connections() == 1
    if case.reuse is not None and not isinstance(answer, str):
        assert reused is case.reuse, f"connection {'' if reused else 'not '}reused"
    assert not (isinstance(answer, str) and reused), "connection reused after an error"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", FRAMING, ids=_names)
def test_framing(subject: ModuleType, case: Case, mode: str) -> None:
    run(subject, case, mode)


@pytest.mark.parametrize("mode", ("preload", "stream"))
@pytest.mark.parametrize("case", FRAMING, ids=_names)
def test_framing_byte_by_byte(subject: ModuleType, case: Case, mode: str) -> None:
    # Long answers in single bytes cost seconds and split nowhere new.
    run(subject, case, mode, piece=1 if len(case.wire) < 2000 else 1000)
