"""Why the readers disagree: every class of disagreement, with whose it is and why it stays.

A disagreement between pool and one peer is explained by a rule that names the peer, the way
in which they differ, and a feature of the stream.  What no rule explains fails the test.
README.md beside this file is made from here: `python -m tests.differential`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.differential.features import features
from tests.differential.peers import Outcome

THEY_TAKE, WE_TAKE, OTHERWISE = "they take it", "we take it", "both take it, as different things"

STRICTER = "we are stricter"
WRONG = "they are wrong"
LENIENT = "they are stricter"
OPEN = "open"

ALL = ("urllib3", "h11", "llhttp")


@dataclass(frozen=True)
class Rule:
    feature: str
    peers: tuple[str, ...]
    ways: tuple[str, ...]
    whose: str
    why: str


RULES = [
    Rule(
        "status-line", ALL, (THEY_TAKE,), STRICTER,
        "RFC 9112 4: `HTTP/1.d`, one space, three digits from 100 on, no NUL in the reason",
    ),
    Rule(
        "minor-version", ("llhttp",), (WE_TAKE,), LENIENT,
        "RFC 9112 2.3: a higher minor version of 1 is read as 1.1",
    ),
    Rule(
        "head-cut", ("urllib3",), (THEY_TAKE,), WRONG,
        "RFC 9112 8: a head that is cut off is no answer",
    ),
    Rule(
        "lone-lf", ("llhttp",), (WE_TAKE, OTHERWISE), LENIENT,
        "RFC 9112 2.2 allows a lone LF as a line end in the head, and there alone",
    ),
    Rule(
        "bare-cr", ("urllib3", "h11"), (THEY_TAKE, OTHERWISE), WRONG,
        "RFC 9112 2.2: a bare CR is invalid; urllib3 makes a line end of it",
    ),
    Rule("nul", ALL, (THEY_TAKE,), STRICTER, "RFC 9110 5.5: NUL is invalid in a field"),
    Rule(
        "control", ("llhttp", "h11"), (WE_TAKE,), LENIENT,
        "RFC 9110 5.5 lets a recipient keep other control bytes; we close the connection after it",
    ),
    Rule(
        "fold", ("llhttp", "h11"), (WE_TAKE, OTHERWISE), LENIENT,
        "RFC 9112 5.2: a user agent replaces a fold by spaces",
    ),
    Rule(
        "fold", ("urllib3",), (THEY_TAKE, OTHERWISE), WRONG,
        "a length that goes on in the next line is no number; http.client takes all that comes",
    ),
    Rule(
        "odd-line", ("llhttp", "h11"), (WE_TAKE, OTHERWISE), LENIENT,
        "urllib3's users get such answers; we frame by all lines, and close the connection",
    ),
    Rule(
        "odd-line", ("urllib3",), (THEY_TAKE, WE_TAKE, OTHERWISE), WRONG,
        "http.client hides the lines behind an odd one, those that frame the body among them",
    ),
    Rule(
        "limit", ("h11", "llhttp"), (THEY_TAKE,), STRICTER,
        "100 lines of 64 KiB are http.client's limits, and ours; `pool.Limits` moves them",
    ),
    Rule(
        "length-invalid", ALL, (THEY_TAKE, OTHERWISE), WRONG,
        "RFC 9112 6.3 rule 5: a length that is no number is an error, also beside a coding",
    ),
    Rule(
        "length-list", ("h11", "llhttp"), (WE_TAKE,), LENIENT,
        "RFC 9112 6.3 rule 5: equal lengths may be taken for one; h11: if spelt alike",
    ),
    Rule(
        "length-list", ("urllib3",), (THEY_TAKE, OTHERWISE), WRONG,
        "http.client cannot read `5, 5`, and takes all that comes for the body",
    ),
    Rule(
        "coding-and-length", ("llhttp", "h11"), (WE_TAKE,), LENIENT,
        "RFC 9112 6.3 rule 3: the coding wins; we close the connection",
    ),
    Rule(
        "chunked-not-last-or-twice", ALL, (THEY_TAKE, OTHERWISE), STRICTER,
        "RFC 9112 6.1 and 7: nobody knows where such a body ends",
    ),
    Rule(
        "codings", ("h11", "llhttp"), (WE_TAKE, OTHERWISE), LENIENT,
        "RFC 9112 6.3 rule 4: without `chunked` at the end the connection ends the body",
    ),
    Rule(
        "codings-empty", ("h11", "llhttp"), (THEY_TAKE, WE_TAKE, OTHERWISE), LENIENT,
        "RFC 9110 5.6.1: empty elements of a list do not count",
    ),
    Rule(
        "codings-empty", ("urllib3",), (THEY_TAKE, WE_TAKE, OTHERWISE), WRONG,
        "RFC 9110 5.6.1: `, chunked` is chunked",
    ),
    Rule(
        "codings", ("urllib3",), (THEY_TAKE, WE_TAKE, OTHERWISE), WRONG,
        "RFC 9112 6.1: Transfer-Encoding is a list; urllib3 compares it with one word",
    ),
    Rule(
        "blanks", ALL, (THEY_TAKE, WE_TAKE, OTHERWISE), WRONG,
        "RFC 9112 5: white space around a value is no part of it; urllib3 and llhttp keep some",
    ),
    Rule(
        "bodiless", ("urllib3",), (THEY_TAKE, WE_TAKE, OTHERWISE), WRONG,
        "RFC 9112 6.3 rule 1: 204 and 304 have no body, whatever the fields say",
    ),
    Rule(
        "bodiless", ("h11", "llhttp"), (WE_TAKE, OTHERWISE), LENIENT,
        "what is refused there is the framing of a body that we do not read",
    ),
    Rule(
        "interim", ("urllib3",), (THEY_TAKE, WE_TAKE, OTHERWISE), WRONG,
        "RFC 9110 15.2: any 1xx may come before the answer, not only 100",
    ),
    Rule(
        "101", ALL, (WE_TAKE, THEY_TAKE, OTHERWISE), OPEN,
        "101 without an Upgrade of ours: an answer, as for urllib3, on a connection that is over",
    ),
    Rule(
        "chunk-size", ALL, (THEY_TAKE, OTHERWISE), WRONG,
        "RFC 9112 7.1: 1*HEXDIG and CRLF; Python's int() takes signs, blanks and underscores",
    ),
    Rule(
        "chunk-extension", ALL, (THEY_TAKE, OTHERWISE), STRICTER,
        "RFC 9112 7.1.1: behind the size a semicolon, and no control byte",
    ),
    Rule(
        "chunk-end", ("urllib3",), (THEY_TAKE, OTHERWISE), WRONG,
        "RFC 9112 7.1: chunk data ends in CRLF; urllib3 drops any two bytes",
    ),
    Rule(
        "chunk-cut", ("urllib3",), (THEY_TAKE,), WRONG,
        "RFC 9112 8: `0` without its line end is no last chunk",
    ),
    Rule(
        "chunk-no-final-line", ("h11", "llhttp"), (WE_TAKE,), LENIENT,
        "the data is complete with `0` CRLF; servers leave out the rest, and close",
    ),
    Rule(
        "trailer-line", ALL, (THEY_TAKE,), STRICTER,
        "RFC 9112 7.1.2 with 2.2: in the framing of a body only CRLF ends a line",
    ),
    Rule(
        "trailer-odd", ("h11", "llhttp"), (WE_TAKE,), LENIENT,
        "trailers are dropped unread",
    ),
]  # fmt: skip


def way_of(ours: Outcome, theirs: Outcome) -> str:
    if ours.refused:
        return THEY_TAKE
    return WE_TAKE if theirs.refused else OTHERWISE


def explain(stream: bytes, peer: str, ours: Outcome, theirs: Outcome) -> list[Rule]:
    """The rules that say why `peer` reads the stream differently."""
    way, found = way_of(ours, theirs), features(stream)
    return [
        rule for rule in RULES if peer in rule.peers and way in rule.ways and rule.feature in found
    ]


def table() -> str:
    rows = [
        f"| {rule.feature} | {', '.join(rule.peers)} | {' or '.join(rule.ways)} | {rule.whose} | "
        f"{rule.why} |"
        for rule in RULES
    ]
    return "\n".join(
        [
            "# Where four readers disagree",
            "",
            "The same bytes go through pool, urllib3, h11 and httptools (llhttp). Each class of",
            "disagreement has a row; `test_differential.py` fails on one that no row explains.",
            "This page is made by `python -m tests.differential`, from `rules.py`; `features.py`",
            "defines the features.",
            "",
            "| feature of the stream | peer | how | whose | why |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )
