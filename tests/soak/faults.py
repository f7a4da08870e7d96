"""What the server does to a request, and what the client must make of it.

Both ends know a fault by its name, which is the path of the URL: the server to play it, the
client to judge the outcome.  Every request carries a token, which the right answer repeats.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass

RIGHT, REFUSED = "right", "refused"
BIG = 40_000  # more than the buffer of a connection
BEHIND = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nnobody's\r\n\r\n"


@dataclass(frozen=True)
class Fault:
    name: str
    outcome: str  # RIGHT or REFUSED
    weight: int = 2


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("ok", RIGHT, 20),
        Fault("big", RIGHT),
        Fault("chunked", RIGHT, 4),
        Fault("gzip", RIGHT, 4),
        Fault("until-close", RIGHT),
        Fault("http10", RIGHT),
        Fault("conn-close", RIGHT),
        Fault("redirect", RIGHT, 4),
        Fault("interim", RIGHT),
        Fault("drip", RIGHT, 1),
        # An answer that nobody asked for, in the segment that ends the right one.  Only so: one
        # that arrives while the next request is on its way cannot be told from its answer, by
        # anybody.  What arrives on an idle connection is for tests/adversity.
        Fault("extra", RIGHT),
        Fault("extra-big", RIGHT),
        Fault("early-close", RIGHT),  # the idle connection ends without a word
        Fault("early-reset", RIGHT),
        Fault("reset", REFUSED),
        Fault("reset-body", REFUSED),
        Fault("truncate", REFUSED),
        Fault("truncate-head", REFUSED),
        Fault("truncate-chunk", REFUSED),
        Fault("truncate-gzip", REFUSED),
        Fault("stall", REFUSED, 1),
        Fault("stall-body", REFUSED, 1),
        Fault("garbage", REFUSED),
        Fault("bad-length", REFUSED),
        Fault("bad-coding", REFUSED),
        Fault("bad-chunk", REFUSED),
    )
}
NAMES = list(FAULTS)
WEIGHTS = [fault.weight for fault in FAULTS.values()]


def pick(dice: random.Random) -> Fault:
    return FAULTS[dice.choices(NAMES, WEIGHTS)[0]]


def body_of(name: str, token: str) -> bytes:
    """The body of the right answer."""
    if name in ("big", "extra-big", "truncate", "reset-body"):
        return (token.encode() + b" ") * (BIG // (len(token) + 1))
    if name in ("gzip", "truncate-gzip"):
        return token.encode() * 100
    return token.encode()


def deflated(body: bytes) -> bytes:
    machine = zlib.compressobj(wbits=31)
    return machine.compress(body) + machine.flush()


def chunks(body: bytes, step: int) -> bytes:
    """The body in chunks, without the last, empty one."""
    parts = [body[at : at + step] for at in range(0, len(body), step)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
