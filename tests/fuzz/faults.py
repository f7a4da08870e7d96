"""Faults that the targets must notice, as proof that they can: target, part, right, wrong."""

FAULTS = (
    (
        "head",
        "head.pxi",
        "    if p + 1 == end:\n        return 0\n    return 2 if",
        "    return 2 if",
    ),
    ("head", "scan.h", "#define FP_USUAL_ROOM 18", "#define FP_USUAL_ROOM 16"),
    ("head", "scan.h", " || p == begin || p[2] == ' ')", " || p[2] == ' ')"),
    ("head", "head.pxi", "min(h.cap, x.limits.header_lines)", "h.cap"),
    (
        "head",
        "lenient.pxi",
        "if i + 2 < size and data[i + 1] == 13",
        "if i + 1 < size and data[i + 1] == 13",
    ),
    (
        "head",
        "lenient.pxi",
        "        if data[i] == 13:\n            return xchg_fail(x, ST_BARE_CR",
        "        if False:\n            return xchg_fail(x, ST_BARE_CR",
    ),
    ("chunks", "body.pxi", "        if number[0] >> 56:", "        if number[0] >> 60:"),
    ("chunks", "body.pxi", "    if p[1] != 10:\n", "    if False:\n"),
    (
        "exchange",
        "exchange.pxi",
        "    if buf_size(&x.inp) or h.defects or",
        "    if h.defects or",
    ),
    ("exchange", "head.pxi", "    h.codings = 0\n", ""),
    (
        "exchange",
        "roundtrip.pxi",
        "    elif b.framing != FRAME_CLOSE and room > b.left:\n",
        "    elif False:\n",
    ),
    ("request", "request.pxi", "        return ST_BAD_VALUE\n", "        pass\n"),
    ("request", "request.pxi", "if next - line > 15 and", "if next - line > 35 and"),
)
