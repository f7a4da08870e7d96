"""The same bytes through four readers; each disagreement has its explanation in rules.py.

FASTPOOL_DIFFERENTIAL=N looks at N random streams of each kind instead of a few hundred.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.differential import peers, rules, streams
from tests.differential.features import features
from tests.support import programs

for _name in ("h11", "httptools"):
    programs.need_module(_name)

LONG = "FASTPOOL_DIFFERENTIAL" in os.environ
many = settings(
    max_examples=int(os.environ.get("FASTPOOL_DIFFERENTIAL", 300)),
    derandomize=not LONG,  # the same streams for everybody, unless one is looking for new ones
    database=None,
    suppress_health_check=list(HealthCheck),
)
pytestmark = pytest.mark.timeout(0 if LONG else 60)


def check(stream: bytes) -> list[rules.Rule]:
    """The rules that explain the disagreements over a stream; fails where none does."""
    ours = peers.pool(stream)
    used = []
    for name, peer in peers.PEERS.items():
        theirs = peer(stream)
        if theirs == ours:
            continue
        found = rules.explain(stream, name, ours, theirs)
        assert found, f"pool: {ours}\n{name}: {theirs}\n{features(stream)}\n{stream!r}"
        used += found
    return used


@pytest.mark.parametrize("name", streams.CORPUS)
def test_corpus(name: str) -> None:
    check(streams.CORPUS[name])


@many
@given(streams.composed())
def test_composed(stream: bytes) -> None:
    check(stream)


@many
@given(streams.damaged())
def test_damaged(stream: bytes) -> None:
    check(stream)


def test_every_rule_is_needed_by_the_corpus_or_a_body() -> None:
    """A rule that explains nothing any more would only hide what comes next."""
    used = Counter(rule for stream in NEEDING for rule in check(stream))
    assert [rule for rule in rules.RULES if rule not in used] == []


def _answer(*lines: bytes, body: bytes = b"hello") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", body])


NEEDING = [
    *streams.CORPUS.values(),
    _answer(b"Content-Length: 5", b" folded"),
    _answer(b"Content-Length: 5, 5", body=b"hello, and more"),
    _answer(b"Transfer-Encoding: ,chunked", body=b"5\r\nhello\r\n0\r\n\r\n"),
    _answer(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\nno trailer\r\n\r\n"),
    _answer(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\n"),
    b"HTTP/1.1 204 No\r\nTransfer-Encoding: xchunked\r\n\r\n",
    _answer(b"Content-Length: 5", b"Content-Length: 6", b"Transfer-Encoding: chunked"),
]


def test_page_is_the_table() -> None:
    page = Path(rules.__file__).with_name("README.md")
    assert page.read_text() == rules.table(), "run python -m tests.differential"


def test_a_new_disagreement_would_be_noticed() -> None:
    """The control: nothing explains that a plain answer is read in two ways."""
    stream = _answer(b"Content-Length: 5")
    assert not features(stream)
    assert rules.explain(stream, "h11", peers.pool(stream), peers.REFUSED) == []
