"""What a stream of bytes breaks or strains: a slow, plain reading of RFC 9112, for the rules.

Shares nothing with any of the readers that are compared.
"""

from __future__ import annotations

import re

STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] [1-9][0-9][0-9](?: [^\r\n\0]*)?")
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEAD_END = re.compile(rb"\n\r?\n")
CONTROL = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")


def split_head(stream: bytes) -> tuple[bytes, bytes | None]:
    """The head with its blank line, and what follows; None when the head has no end."""
    found = HEAD_END.search(stream)
    if found is None:
        return stream, None
    return stream[: found.end()], stream[found.end() :]


def _lines(head: bytes) -> list[bytes]:
    return [line.removesuffix(b"\r") for line in head.split(b"\n")]


def _fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    pairs = [line.partition(b":") for line in lines if b":" in line]
    return [(name.strip(b" \t").lower(), value.strip(b" \t")) for name, _, value in pairs]


def _line_features(lines: list[bytes]) -> set[str]:
    found = set()
    for line in lines:
        name, colon, value = line.partition(b":")
        if line[:1] in (b" ", b"\t"):
            found.add("fold")
        elif not colon or not TOKEN.fullmatch(name):
            found.add("odd-line")
        if CONTROL.search(line):
            found.add("control")
        if value.startswith(b"\t") or value.endswith((b" ", b"\t")):
            found.add("blanks")
        if len(line) > 65_000:
            found.add("limit")
    return found


def head_features(head: bytes) -> set[str]:
    lines = _lines(head)
    found = _line_features([line for line in lines[1:] if line])
    if not STATUS_LINE.fullmatch(lines[0]):
        found.add("status-line")
    elif lines[0][7:8] not in b"01":
        found.add("minor-version")
    if re.search(rb"(?<!\r)\n", head):
        found.add("lone-lf")
    if re.search(rb"\r(?!\n)", head):
        found.add("bare-cr")
    if b"\0" in head:
        found.add("nul")
    if len(lines) > 100 or len(head) > 200_000:
        found.add("limit")
    return found | _framing_features(lines[0], _fields(lines[1:]))


def _framing_features(first: bytes, fields: list[tuple[bytes, bytes]]) -> set[str]:
    found = set()
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    numbers = [item.strip(b" \t") for value in lengths for item in value.split(b",")]
    if any(not re.fullmatch(rb"[0-9]{1,18}", number) for number in numbers):
        found.add("length-invalid")
    elif len({int(number) for number in numbers}) > 1:
        found.add("length-conflict")
    if len(numbers) > 1:
        found.add("length-list")
    if any(number != b"0" and number.startswith(b"0") for number in numbers):
        found.add("length-zeros")
    items = [item.strip(b" \t").lower() for value in codings for item in value.split(b",")]
    named = [item for item in items if item]
    if codings and named != [b"chunked"]:
        found.add("codings")
        if b"chunked" in named[:-1]:
            found.add("chunked-not-last-or-twice")
    if codings and b"" in items:
        found.add("codings-empty")
    if codings and lengths:
        found.add("coding-and-length")
    if codings and b"HTTP/1.0" in first:
        found.add("coding-in-1.0")
    if first[9:12] in (b"204", b"304") and (codings or lengths):
        found.add("bodiless")
    if named[-1:] == [b"chunked"]:
        found.add("chunked")
    return found


def chunk_features(body: bytes) -> set[str]:
    """Faults of a chunked body, up to the first that ends the reading."""
    at = 0
    while True:
        end = body.find(b"\n", at)
        if end < 0:
            return (
                {"chunk-cut", "chunk-cut-in-last"} if body[at : at + 1] == b"0" else {"chunk-cut"}
            )
        line = body[at : end + 1]
        size = re.match(rb"[0-9A-Fa-f]{1,15}(?=[;\r \t])", line)
        if size is None or not line.endswith(b"\r\n"):
            return {"chunk-size"}
        if not re.fullmatch(rb"[ \t]*(;[^\x00-\x08\x0a-\x1f\x7f]*)?", line[size.end() : -2]):
            return {"chunk-extension"}
        at = end + 1
        if int(size[0], 16) == 0:
            return _trailer_features(body[at:])
        at += int(size[0], 16)
        if len(body) < at + 2:
            return {"chunk-cut"} if body[at:] in (b"", b"\r") else {"chunk-end"}
        if body[at : at + 2] != b"\r\n":
            return {"chunk-end"}
        at += 2


def _trailer_features(rest: bytes) -> set[str]:
    found = set()
    while True:
        line, lf, rest = rest.partition(b"\n")
        if not lf:
            found.add("chunk-no-final-line")
            return found
        if not line.endswith(b"\r"):
            found.add("trailer-line")
            return found
        if line == b"\r":
            return found
        if not TOKEN.fullmatch(line.partition(b":")[0]) or b":" not in line:
            found.add("trailer-odd")
        if re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", line[:-1]):
            found.add("trailer-odd")
        found.add("trailer")


def features(stream: bytes) -> set[str]:
    """Of the final response in the stream, and of the interim ones before it."""
    found: set[str] = set()
    rest: bytes | None = stream
    while True:
        head, rest = split_head(rest or b"")
        if rest is None:
            return found | {"head-cut"} | head_features(head)
        found |= head_features(head)
        if head[9:10] != b"1" or "status-line" in found:
            break
        found.add("101" if head[9:12] == b"101" else "interim")
        if "101" in found:
            return found
    if "chunked" in found:
        found |= chunk_features(rest)
    return found
