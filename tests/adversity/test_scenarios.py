"""Every scenario in each of its modes, plain and over TLS."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from tests.adversity import scenarios
from tests.adversity.arena import MODES, SCENARIOS, TRANSPORTS, Arena, Scenario, play, traced

assert scenarios.__all__

# A scenario has its own limit, which is less; this one ends what does not come back at all.
pytestmark = pytest.mark.timeout(40)

PLAYS = [
    pytest.param(made, mode, transport, id=f"{made.id}-{mode}-{transport}")
    for made in SCENARIOS.values()
    for mode in MODES
    if mode in made.modes
    for transport in TRANSPORTS
    if transport in made.transports
]


@pytest.fixture(scope="module", autouse=True)
def warm(subject: ModuleType, certificates: Any) -> None:
    """What a process makes once (contexts, helper threads) is there before anybody counts."""
    for transport in TRANSPORTS:
        for mode in MODES:
            arena = Arena(subject, mode, transport, certificates)
            arena.own_answers(arena.serve())
            arena.close()


@pytest.mark.parametrize(("made", "mode", "transport"), PLAYS)
def test_scenario(
    subject: ModuleType, certificates: Any, made: Scenario, mode: str, transport: str
) -> None:
    play(made, subject, mode, transport, certificates)


def test_traced_modes_do_go_through_http_client(subject: ModuleType, certificates: Any) -> None:
    arena = Arena(subject, "traced-stream", "plain", certificates)
    with traced() as calls:
        arena.own_answers(arena.serve(), count=1)
    arena.close()
    assert calls[:2] == ["putrequest", "getresponse"] and "read" in calls
