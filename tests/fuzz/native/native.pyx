# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The fuzz targets of the core: its layers 0, 2, 3 (tcp) and 4 as they are shipped, and libFuzzer's entry.

Compiled to C as the extension is, linked into a program without an interpreter: nothing here,
as nothing in these layers, touches a Python object.  `include/system.h` replaces the kernel.
FASTPOOL_FUZZ_TARGET names the target.
"""

include "_fastpool/types.pxi"
include "_fastpool/atomics.pxi"
include "_fastpool/system.pxi"
include "_fastpool/buffer.pxi"
include "_fastpool/head.pxi"
include "_fastpool/lenient.pxi"
include "_fastpool/body.pxi"
include "_fastpool/request.pxi"
include "_fastpool/exchange.pxi"
include "_fastpool/tcp.pxi"
include "_fastpool/roundtrip.pxi"

include "common.pxi"
include "target_head.pxi"
include "target_chunks.pxi"
include "target_exchange.pxi"
include "target_request.pxi"
include "entry.pxi"
