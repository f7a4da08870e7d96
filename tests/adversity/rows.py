"""Which scenario stands for which advisory and which fault; makes docs/security/scenarios.md.

    python -m tests.adversity.rows

An entry of `shown` is a scenario, all scenarios that begin with it (`rd.cross-*`), or a test by
its path below `tests/`.  `test_rows.py` checks that each exists, and that the page is current.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security" / "scenarios.md"


@dataclass(frozen=True)
class Row:
    name: str
    required: str
    shown: tuple[str, ...]


def rows(text: str) -> list[Row]:
    """One row a line: name | required | what shows it."""
    split = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return [Row(name, required, tuple(shown.split())) for name, required, shown in split]


URLLIB3 = rows("""
CVE-2018-20060, CVE-2018-25091 | credentials leave with scheme, host and port, in any spelling | rd.cross-* rd.manager-headers rd.headerdict
CVE-2019-11236, CVE-2019-9740 | no line end of a URL reaches the request | inj.path-* url.crlf
CVE-2019-11324 | CAs that are given replace the system's | tls.ca-only-given tls.other-ca
CVE-2020-26137, CVE-2020-26116 | a method is a token | inj.method-*
CVE-2020-7212 | percent-encoding in linear time | url.percent-long
CVE-2021-28363 | an HTTPS proxy is verified before CONNECT | px.https-proxy-wrong-host
CVE-2021-33503 | an authority is parsed in linear time | url.at-signs
CVE-2023-43804 | Cookie stays with its origin | rd.cross-*
CVE-2023-45803 | 303 drops the body and what describes it | rd.303-post rd.303-post-chunked
CVE-2024-37891 | Proxy-Authorization stays with its origin | rd.cross-*
CVE-2025-50181 | the manager's Retry governs redirects | rd.off-manager rd.off-manager-zero
CVE-2025-66418 | at most five codings, over all lines | dc.chain-*
CVE-2025-66471 | inflated as far as it was asked for | dc.bomb-gzip dc.bomb-deflate dc.bomb-br dc.bomb-zstd
CVE-2026-21441 | the body of a followed redirect is not inflated | dc.bomb-redirect-*
CVE-2026-44432 | nor at a second read, nor by draining | dc.bomb-br dc.bomb-gzip
CVE-2026-44431 | pools of a proxy's manager strip credentials as well | px.redirect-strip px.redirect-strip-pool
CVE-2026-97687 | TLS settings of proxy and target never mix | px.https-proxy-target-opts px.https-forwarding-target-opts px.proxy-fingerprint px.https-proxy-own-context px.target-verified-behind-proxy
CVE-2026-97689 | a line of the framing is bounded in every mode | ck.size-line-long ck.size-endless-zeros
CVE-2026-97688 | a decoder without progress ends | dc.deflate-trailing-*
changes of 2.8.0 without a number | CRLF in a tunnel's host or headers, invalid hosts, raw folds, forms of addresses | px.hdr-crlf px.host-crlf url.blank url.nul hd.obs-fold tls.ip-forms
""")

OTHERS = rows("""
requests CVE-2018-18074 | the scheme is part of the origin | rd.cross-scheme
requests CVE-2023-32681 | proxy credentials go into CONNECT alone | px.connect-auth
requests CVE-2024-35195 | a connection that nobody verified stays apart | tls.verify-isolated
requests CVE-2024-47081 | one parser of URLs decides on the host | url.host-confusion
httpx CVE-2021-41945 | invalid URLs are refused | url.*
h11 CVE-2025-43859 | chunk data ends in exactly CRLF | ck.data-no-crlf ck.data-too-long
httplib2 CVE-2020-11078, CVE-2021-21240 | no splitting by URL; header parsing in linear time | inj.path-* hd.fold-endless hd.line-endless
aiohttp CVE-2026-34520 | NUL and control bytes in fields | hd.nul-* hd.ctl-in-value
aiohttp CVE-2026-22815 | trailers are bounded | ck.trailers-endless ck.trailer-line-endless
aiohttp CVE-2026-47265, PYSEC-2026-2100 | cookies and proxy credentials stay with their origin | rd.cross-*
aiohttp CVE-2026-50269 | no header comes in through a part's headers | inj.multipart-*
aiohttp 13656, nuclei 7671 and 7679 | an answer pushed on an idle connection answers nobody | cl.extra-* ck.extra-* tls.extra-record life.push-*
CPython CVE-2019-18348, CVE-2026-0865, CVE-2026-1502 | no line end in URL, header, CONNECT | inj.* px.hdr-crlf px.host-crlf
CPython CVE-2021-3737 | interim answers are bounded | in.100-endless in.103-endless
CPython CVE-2025-13836 | memory follows what arrived | cl.prealloc-* ck.size-prealloc adversity/test_decoding.py::test_memory_follows_what_arrived
CPython 42550 | 102 and 103 are not the answer | in.102 in.103 in.199
curl CVE-2022-32206, CVE-2023-23916; undici CVE-2026-22036, CVE-2026-84890 | codings counted over all lines; a size for what is decoded | dc.chain-six-lines dc.bomb-max-body-*
curl CVE-2023-38039 | number and size of header lines are bounded | hd.count-over hd.count-endless hd.line-long
curl CVE-2022-27774 | the port is part of the origin | rd.cross-port
curl CVE-2026-6253, CVE-2026-6429, CVE-2026-3784 | credentials and tunnels belong to one proxy and identity | px.two-proxies px.tunnel-identity
curl CVE-2026-8932 | the client's certificate is part of the key | tls.client-cert-isolated
curl CVE-2026-94266 | name and password of a URL are sent to nobody | rd.url-credentials
Go CVE-2023-45289, CVE-2024-45336, CVE-2025-4673 | what was stripped does not come back | rd.stripped-stays-stripped
Go CVE-2025-22871 | no lone LF in the framing of chunks | ck.lf-*
Go CVE-2023-39326 | chunk extensions are bounded | ck.size-line-long
Go CVE-2024-24791 | interim and final answers are not mixed up | in.*
hyper CVE-2021-32714, CVE-2021-32715 | lengths do not overflow, and have no sign | cl.invalid-* ck.size-overflow-* ck.size-plus
Node CVE-2022-32213, CVE-2022-32214, CVE-2022-32215, CVE-2024-27982 | codings, folds and blanks in what frames | te.* hd.obs-fold-first hd.space-before-colon
""")

FAULTS = rows("""
idle connection closed, reset or half closed | the next request works, without a retry | life.stale-* life.half-close-idle
closed just as the request arrives | GET once more, POST never, an error otherwise | life.race-*
reset in head, body or chunk | an error of the library | sl.rst-reply hd.rst cl.short-rst ck.rst
chunks cut off, a length too short | an error | ck.trunc-* cl.short-*
head cut off | an error | hd.trunc-* sl.status-line-only
bytes behind the answer, unsolicited answers | the right body; not reused | cl.extra-* ck.extra-* life.push-*
100, 102, 103, 101 | skipped, within a bound; 101 is an answer and the end | in.* surface/test_docker.py::test_first_bytes_behind_an_upgrade_are_not_lost
204, 304, HEAD with a body | no body; not reused | bl.*
HTTP/1.0, ended by the connection | the body up to FIN; RST is an error | sl.http10-* cl.none-*
length beside a coding, two lengths, bad lengths | RFC 9112 6.3 | te.with-cl* cl.two-lines-* cl.invalid-*
lone LF, folds, NUL, control bytes, no colon | RFC 9112 2.2 and 5 | hd.*
number and size of header lines | bounded | hd.count-* hd.line-*
endless trailers, interim answers, CONNECT headers | bounded | ck.trailers-endless in.100-endless px.connect-endless-*
one byte at a time | the timeout of reading is for each read | to.slow-drip adversity/test_framing.py::test_framing_byte_by_byte
stalls | ReadTimeoutError, ConnectTimeoutError, in time | to.stall-* tls.handshake-stall px.connect-stall
bombs | a small multiple of what was asked for | dc.bomb-*
bomb or endless body of a redirect | neither inflated nor kept nor drained for ever | dc.bomb-redirect-* rd.endless-body rd.drip-body rd.endless-body-of-an-error
draining an endless body | bounded | life.drain-endless-*
coding cut off, or none | an error | dc.truncated-* dc.garbage-*
redirect loops | bounded | rd.loop
odd Location | an error of the library | rd.no-host rd.scheme-bad-v6 rd.two-locations rd.file rd.gopher rd.port rd.host-blank rd.blanks-in-location
Retry-After of a lifetime | bounded | rt.retry-after-*
fork after use | no socket is shared | fork/test_fork.py::test_parent_and_children_get_their_own_answers
threads while pools close or are evicted | own answers, our errors, nobody stuck | th.close-while-in-use th.eviction
pools that nobody closes | their connections go with them | th.forgotten-pools
signal while waiting | at once; the connection never serves again | th.kbd-* adversity/test_life.py::test_interrupt_in_the_middle_of_a_read
answer dropped or released unread | the slot comes back | life.unread-*
hundreds of faults | no descriptor is left | life.fd-faults adversity/test_life.py::test_hundreds_of_faults_leave_no_descriptor
answer before the upload's end | it is the answer | life.early-413-*
no such name, refused, nobody accepts | named errors, in time | life.dns-fail life.refused to.connect-blackhole
CONNECT fails | an error; the origin is not reached | px.connect-*
TLS: wrong host, time, authority, fingerprint, version | SSLError; no request is sent | tls.wrong-host tls.expired tls.not-yet-valid tls.self-signed tls.other-ca tls.fingerprint tls.version-old
TLS cut off | an error | tls.truncation-*
""")

PROMISES = rows("""
1 | no answer reaches the wrong request | cl.extra-* life.push-* th.* soak/test_soak.py::test_nothing_is_wrong_lost_or_left_behind fork/test_fork.py::test_parent_and_children_get_their_own_answers
2 | an answer that is cut off is no success | hd.trunc-* cl.short-* ck.trunc-* dc.truncated-* tls.truncation-*
3 | one parser for every way of reading | adversity/test_framing.py::test_framing adversity/test_scenarios.py::test_scenario
4 | only our exceptions on a server's input | cl.invalid-* ck.size-* rt.retry-after-* differential/test_differential.py::test_damaged
5 | nothing from the network is without a bound | hd.count-endless in.100-endless ck.trailers-endless life.drain-endless-* cl.prealloc-*
6 | decoding is lazy | dc.bomb-* dc.chain-*
7 | credentials stay with their origin and their proxy | rd.cross-* px.two-proxies px.redirect-strip
8 | a connection is used again only when it is clean | adversity/test_framing.py::test_framing life.wrong-own-length
9 | retries neither repeat nor alter | life.race-* rd.307-generator
10 | nothing is left behind | life.fd-faults soak/test_soak.py::test_nothing_is_wrong_lost_or_left_behind
""")

TABLES = {
    "Advisories for urllib3": URLLIB3,
    "Advisories for others": OTHERS,
    "Faults": FAULTS,
    "Promises": PROMISES,
}


def page() -> str:
    parts = [
        "# Scenarios",
        "",
        "Each scenario is one program of a hostile server; `tests/adversity/test_scenarios.py` plays",
        "it preloaded, streamed, by the bulk engine, and both request modes again with",
        "`http.client`'s methods wrapped, plain and over TLS. Afterwards slots, descriptors,",
        "threads and memory are back. A `*` stands for all scenarios that begin so. This page is",
        "made by `python -m tests.adversity.rows`. Not applicable: CVE-2025-50182 (Pyodide is not",
        "supported), CVE-2026-25645 of requests (its own files).",
    ]
    for title, table in TABLES.items():
        head = [
            "",
            f"## {title}",
            "",
            "| what | required | scenarios and tests |",
            "| --- | --- | --- |",
        ]
        lines = [
            f"| {row.name} | {row.required} | {', '.join(f'`{name}`' for name in row.shown)} |"
            for row in table
        ]
        parts += head + lines
    return "\n".join([*parts, ""])


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
