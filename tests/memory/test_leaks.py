"""Thousands of requests of every kind, good and faulty, leave nothing behind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.memory import leaks
from tests.support import counters

pytestmark = [
    pytest.mark.leaks,
    pytest.mark.skipif(not counters.HAVE_PROC, reason="descriptors are read from /proc"),
]


def test_nothing_is_left_behind(subject: Any) -> None:
    left = leaks.growth(subject, 3000)
    assert not leaks.leaked(left), left


def test_a_block_left_by_each_request_is_noticed(
    subject: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Any] = []
    monkeypatch.setattr(leaks.Client, "round", lambda self: kept.append(self.get("/page").headers))
    assert "blocks" in leaks.leaked(leaks.growth(subject, 500))
