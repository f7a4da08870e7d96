# cython: language_level=3, freethreading_compatible=True
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: binding=True, embedsignature=True
"""The compiled core of fastpool: table of contents.

A part calls only parts of a lower layer, and earlier parts of its own:

====  ==================================================================================
 0    types, atomics, system: declarations and leaf helpers
 1    fork, pyobjects, errors: Python objects bound once; a status becomes an exception
 2    buffer, head, lenient, body, request, url, exchange, timers: sans-IO; spans and statuses
      out
 3    slots; tcp, event: slots know no HTTP, tcp knows no HTTP; the only syscalls
 4    roundtrip: one blocking exchange; mux: many; without the GIL from end to end
 5    pool, verdicts, flatten, names, fields, member, lazy, gzip, answer, places, borrow,
      rest, repeat, writer, waiter, wire, reader, channel, loop, multiplexer, response, guard,
      hooks, policy, call, transact, checkout, attempt, origins, dispatch, bulk, schedule,
      sender, run, results, testing: the Python face
====  ==================================================================================

Layers 0 and 2-4 are ``noexcept nogil`` and return a status.  ``src/pool`` above holds policy.
"""

cimport cython

include "_fastpool/types.pxi"         # 0  every struct and enum
include "_fastpool/atomics.pxi"       # 0  the only atomic primitives
include "_fastpool/system.pxi"        # 0  externs
include "_fastpool/fork.pxi"          # 1  how many forks ago this process began
include "_fastpool/pyobjects.pxi"     # 1  the only Python imports
include "_fastpool/errors.pxi"        # 1  check(): a status becomes an exception, here only
include "_fastpool/buffer.pxi"        # 2  growable bytes
include "_fastpool/head.pxi"          # 2  response head, strict tier
include "_fastpool/lenient.pxi"       # 2  response head, second tier
include "_fastpool/body.pxi"          # 2  message framing, chunked reader
include "_fastpool/request.pxi"       # 2  request head, injection checks
include "_fastpool/url.pxi"           # 2  which URLs need no work
include "_fastpool/exchange.pxi"      # 2  one request and its response; "may this be reused?"
include "_fastpool/timers.pxi"        # 2  points in time, in their order
include "_fastpool/slots.pxi"         # 3  lock-free slot array, FIFO waiters
include "_fastpool/tcp.pxi"           # 3  syscalls and waiting
include "_fastpool/event.pxi"         # 3  epoll, kqueue, poll: waiting for many sockets
include "_fastpool/roundtrip.pxi"     # 4  the blocking exchange
include "_fastpool/links.pxi"         # 4  exchanges of a loop: positions and queues
include "_fastpool/mux.pxi"           # 4  many exchanges in one thread
include "_fastpool/pool.pxi"          # 5  SlotPool: checkout, return, wait, close
include "_fastpool/verdicts.pxi"      # 5  what was found out about a class or a dict
include "_fastpool/flatten.pxi"       # 5  Python headers to spans
include "_fastpool/names.pxi"         # 5  field names of most responses, made once
include "_fastpool/fields.pxi"        # 5  HeaderStore: fields as bytes until they are wanted
include "_fastpool/member.pxi"        # 5  attributes that are fields of C
include "_fastpool/lazy.pxi"          # 5  attributes made at their first look
include "_fastpool/gzip.pxi"          # 5  may a gzip body be decoded in one call?
include "_fastpool/answer.pxi"        # 5  ResponseHead, parse_head()
include "_fastpool/places.pxi"        # 5  attributes read by their place
include "_fastpool/borrow.pxi"        # 5  the socket, its limits and its faults as Python has them
include "_fastpool/rest.pxi"          # 5  memory of a body larger than the buffer
include "_fastpool/repeat.pxi"        # 5  request heads that differ in nothing but a line
include "_fastpool/writer.pxi"        # 5  HeadWriter: request heads
include "_fastpool/waiter.pxi"        # 5  Waiter: poll, or a receive that waits in the kernel
include "_fastpool/wire.pxi"          # 5  Wire: the compiled half of a connection
include "_fastpool/reader.pxi"        # 5  BodyReader: a body read piece by piece
include "_fastpool/channel.pxi"       # 5  one connection in a Multiplexer
include "_fastpool/loop.pxi"          # 5  EventLoop: watches, timers, wake-ups
include "_fastpool/multiplexer.pxi"   # 5  Multiplexer: many exchanges from one Python thread
include "_fastpool/response.pxi"      # 5  ResponseState: what every response has set
include "_fastpool/guard.pxi"         # 5  may a request take the compiled exchange?
include "_fastpool/hooks.pxi"         # 5  which methods of pools and managers nobody has hooked
include "_fastpool/policy.pxi"        # 5  what a Retry wants, as far as known
include "_fastpool/call.pxi"          # 5  Call: the arguments of one urlopen()
include "_fastpool/transact.pxi"      # 5  one request on one connection, and its response
include "_fastpool/checkout.pxi"      # 5  a connection out of its pool and back
include "_fastpool/attempt.pxi"       # 5  one attempt at a request in a pool
include "_fastpool/origins.pxi"       # 5  which pool serves a URL
include "_fastpool/dispatch.pxi"      # 5  from request() to a pool
include "_fastpool/bulk.pxi"          # 5  what a bulk run is made of: results, connections, origins
include "_fastpool/schedule.pxi"      # 5  Schedule: who is next in a bulk run, and where
include "_fastpool/sender.pxi"        # 5  Sender: requests of a bulk run on their way out
include "_fastpool/run.pxi"           # 5  Run: one bulk run
include "_fastpool/results.pxi"       # 5  Results: the iterator over a run
include "_fastpool/testing_slots.pxi" # 5  native-thread stress of the slot array
include "_fastpool/testing.pxi"       # 5  hooks for tests and benchmarks
