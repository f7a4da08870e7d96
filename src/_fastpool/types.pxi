# Data first: every struct and enum of the core on one page.  Calls nothing.
#
# Each field says its unit, who owns it and who may write it.  Layer order, and which part
# may call which, is in src/_fastpool.pyx.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stddef cimport size_t

# --- status ---------------------------------------------------------------------------------
# The only return type of layers 0 and 2-4.  errors.pxi turns it into an exception, once.

cdef enum Status:
    ST_OK = 0
    ST_NEED_MORE = 1        # sans-IO: give me more bytes; nothing visible has changed
    ST_DONE = 2             # the body is complete
    ST_FULL = 3             # the caller's room is used up; call again with more
    ST_EINTR = 4            # a signal arrived: run PyErr_CheckSignals, then call again
    ST_WANT_READ = 5        # object transport: fill Transport.want, then call again
    ST_WANT_WRITE = 6       # object transport: send Transport.want, then call again
    ST_SUSPENDED = 7        # a transport that does not wait: call again after Transport.awaits
    # faults of the transport
    ST_SEND_TIMEOUT = 10
    ST_READ_TIMEOUT = 11
    ST_OS_ERROR = 12        # errno in Exchange.err
    ST_DISCONNECTED = 13    # EOF before the first byte of a response
    ST_NO_MEMORY = 14
    ST_UNSENT = 15          # the peer was gone, or talked, before the request was sent
    # what a peer sent and may not send
    ST_BAD_STATUS_LINE = 20
    ST_LINE_TOO_LONG = 21
    ST_TOO_MANY_HEADERS = 22
    ST_SECTION_TOO_LARGE = 23
    ST_BARE_CR = 24
    ST_NUL = 25
    ST_BAD_LENGTH = 26
    ST_BAD_CODING = 27
    ST_TOO_MANY_INTERIM = 28
    ST_BAD_CHUNK_SIZE = 29
    ST_BAD_CHUNK_END = 30
    ST_BAD_TRAILER = 31
    ST_TRUNCATED_HEAD = 32
    ST_TRUNCATED_BODY = 33
    ST_SIZE_LINE_TOO_LONG = 34
    ST_TRAILER_TOO_LONG = 35
    ST_BODY_TOO_LARGE = 36  # more than Link.max_body
    ST_DEADLINE = 37        # Link.deadline has passed
    # what our own caller asked for and may not ask for
    ST_BAD_METHOD = 40
    ST_BAD_TARGET = 41
    ST_BAD_NAME = 42
    ST_BAD_VALUE = 43
    ST_BUSY = 44            # the connection still carries another response
    ST_FORKED = 45          # the connection was opened in another process

cdef enum:
    BUFFER_SIZE = 16384     # bytes of a fresh receive buffer
    DIRECT_SIZE = 4096      # bytes from which a receive into the reader's memory is worth it

# --- bytes ----------------------------------------------------------------------------------

cdef struct Buffer:
    char *data              # malloc'd; owned by the struct that holds the Buffer
    size_t cap              # bytes allocated
    size_t start            # first byte not yet consumed
    size_t end              # one past the last byte filled; start <= end <= cap

cdef struct Text:
    const char *data        # borrowed; valid while its owner (a Python object) is held
    size_t size             # bytes

# --- response head --------------------------------------------------------------------------

cdef struct Limits:
    int64_t drain_bytes     # read at most of a body that nobody wants,
    int64_t drain_ns        # and for so long
    uint32_t header_lines   # field lines in one section; also of a trailer section
    uint32_t line           # bytes in one line, its end included
    uint32_t section        # bytes in one head
    uint32_t interim        # 1xx responses before the final one
    uint32_t trailers       # trailer lines

cdef struct Field:          # one field line; offsets count from the head's first byte
    uint32_t name
    uint32_t name_size
    uint32_t value          # behind leading OWS
    uint32_t value_size     # with trailing OWS: http.client's view keeps it, framing trims

cdef enum Coding:           # what Transfer-Encoding says, all lines read as one list
    TE_ABSENT = 0
    TE_CHUNKED = 1          # chunked is the last coding
    TE_OTHER = 2            # chunked is missing: the body ends with the connection
    TE_FAULTY = 3           # chunked twice, or not last

cdef enum Defect:           # bits of Head.defects; any of them forbids reuse
    DEFECT_NO_COLON = 1
    DEFECT_NO_NAME = 2
    DEFECT_FOLD_FIRST = 4
    DEFECT_CONTROL = 8      # a control byte other than HTAB, CR, LF, NUL in a value

cdef struct Head:           # written by head.pxi alone
    Field *fields           # malloc'd, grows; owned here
    uint32_t cap            # fields allocated
    uint32_t count          # fields that http.client would show
    uint32_t pos            # resume point: start of the first line not yet parsed
    uint32_t scan           # second tier: no blank line ends before this byte
    uint32_t size           # bytes of the head, blank line included; 0 until complete
    uint32_t reason         # offset
    uint32_t reason_size
    int status              # 100..999
    int version             # 10 or 11, as http.client counts
    uint32_t defects        # Defect bits
    int64_t content_length  # -1: absent
    uint8_t coding          # Coding
    uint32_t codings        # transfer codings listed
    uint8_t close           # Connection: close seen
    uint8_t keep_alive      # Connection (or Proxy-Connection): keep-alive, or Keep-Alive seen
    uint8_t lines           # 0: status line still to come
    uint8_t lenient         # parsed by the second tier
    uint8_t encoded         # Content-Encoding seen

# --- response body --------------------------------------------------------------------------

cdef enum Framing:
    FRAME_NONE = 0
    FRAME_LENGTH = 1
    FRAME_CHUNKED = 2
    FRAME_CLOSE = 3

cdef enum ChunkState:
    CHUNK_SIZE = 0          # at the first byte of a chunk-size line
    CHUNK_DATA = 1
    CHUNK_END = 2           # at the CRLF behind chunk data
    CHUNK_TRAILER = 3       # at the first byte of a trailer line
    CHUNK_DONE = 4

cdef struct Body:           # written by body.pxi alone
    uint8_t framing         # Framing
    uint8_t chunk           # ChunkState
    uint8_t fresh           # the chunk's size was read, and not a byte of its data
    uint8_t bare_end        # last chunk seen, only the trailer section is missing
    uint32_t trailers       # trailer lines seen
    uint64_t left           # bytes to come: of the body (LENGTH) or of this chunk (CHUNKED)
    uint64_t extension      # bytes of chunk extensions so far; bounded

# --- one request and its response on one connection ---------------------------------------

cdef enum Phase:            # transition table in exchange.pxi
    PHASE_IDLE = 0
    PHASE_SEND = 1
    PHASE_HEAD = 2
    PHASE_BODY = 3
    PHASE_DONE = 4
    PHASE_DEAD = 5

cdef struct Exchange:       # written by exchange.pxi and, for out/in, by the drivers
    Buffer out              # request head (and copied small bodies); owned
    Buffer inp              # bytes received; owned; allocated only while an exchange runs
    Text body_out           # request body to send behind `out`; borrowed from the caller
    size_t body_sent        # bytes of body_out that the kernel has taken
    uint64_t body_total     # bytes of body handed over so far, chunk framing not counted
    int64_t declared        # the caller's Content-Length; -1: none, -2: not a number
    Head head
    Body body
    Limits limits
    size_t gathered         # one past the last decoded body byte kept in inp.data
    size_t body_start       # first decoded body byte in inp.data
    uint8_t phase           # Phase
    uint8_t head_request    # method is HEAD
    uint8_t connect_request # method is CONNECT
    uint8_t close_after     # our request forbids reuse (Connection: close, odd Content-Length)
    uint8_t defer_redirect  # leave a large body of a redirect on the wire
    uint8_t tainted         # the response forbids reuse, for whatever reason
    uint8_t got_bytes       # at least one byte of this response has arrived
    uint8_t send_broken     # peer stopped reading: only its response is of interest now
    uint32_t interim        # 1xx responses skipped
    int err                 # errno behind ST_OS_ERROR
    const char *rule        # static text: the rule that the peer broke; NULL when none
    size_t offset           # byte of the head or chunk line at which it did

cdef struct Transport:      # written by tcp.pxi, and by layer 5 to answer a want
    int fd                  # borrowed from the Python socket, which is pinned; -1: an object
    int64_t send_ns         # nanoseconds one wait may last without progress; -1: for ever
    int64_t read_ns
    int64_t kernel_ns       # what the kernel lets a receive wait, as we set it; -1: for ever; 0: no
    int64_t until           # CLOCK_MONOTONIC ns at which the running wait ends; 0: none runs
    const char *want        # object transport: what it shall send, or fill; borrowed
    size_t want_size        # bytes
    int64_t answer          # bytes it did, -1: the peer stopped reading
    uint8_t answered        # `answer` is valid and not yet consumed: FP_READ or FP_WRITE; else 0
    uint8_t drained         # TLS: the last read left nothing decrypted behind
    # what follows is for a transport that never waits; mux.pxi owns it
    uint8_t suspends        # a wait returns ST_SUSPENDED
    uint8_t awaits          # FP_READ, FP_WRITE: what the suspended call waits for
    uint8_t sending         # and whether the send limit holds for that wait
    uint8_t ready           # FP_READ, FP_WRITE, FP_HANGUP: reported, and not known to be used up
    uint8_t crossed         # object transport: TLS reads to be able to write, or the reverse
    int64_t budget          # bytes that may still be received before others have their turn

cdef struct Rest:           # a body too large for Exchange.inp; written by rest.pxi and rt_read()
    void *block             # the bytes object that is being filled, owned; NULL: none
    Buffer into             # its memory, or realloc()'s
    uint8_t raw             # `into` has memory of realloc()'s, owned

# --- many exchanges in one thread (event.pxi, timers.pxi, links.pxi, mux.pxi) ----------------

cdef struct EventSet:       # written by event.pxi alone
    int kind                # FP_EPOLL, FP_KQUEUE or FP_POLL; 0: closed
    int fd                  # epoll's or kqueue's descriptor, owned
    void *table             # poll's table, owned
    int wake[2]             # its two ends, owned; the same one twice where the system can
    int err                 # errno behind ST_OS_ERROR

cdef enum TimerKind:
    TIMER_LINK = 0          # of an exchange: handled by mux.pxi
    TIMER_CALL = 1          # of a callback: left to layer 5

cdef struct Timer:          # embedded in its owner
    int64_t when            # CLOCK_MONOTONIC ns; the key in the heap
    void *owner             # Link, or layer 5's object, borrowed
    uint32_t at             # 1 + position in the heap; 0: not in it
    uint8_t kind            # TimerKind

cdef struct Timers:         # binary heap, written by timers.pxi alone
    Timer **heap            # malloc'd, owned; the timers are not
    uint32_t count
    uint32_t cap

cdef enum LinkState:
    LINK_OUT = 0            # not in a Mux
    LINK_IDLE = 1           # registered, nothing to do; an exchange may begin
    LINK_WATCHED = 2        # layer 5 waits for `watched`
    LINK_RUNNING = 3        # an exchange is on its way
    LINK_STALE = 4          # it was idle, and the peer sent something or closed

cdef enum LinkQueue:
    QUEUE_NONE = 0
    QUEUE_PYTHON = 1        # layer 5 has to look at it
    QUEUE_AGAIN = 2         # there is more to receive: others first, then go on

cdef struct Link:           # one descriptor in a Mux; embedded in layer 5's object
    Exchange *x             # borrowed, as the transport; NULL: only watched
    Transport *t
    Buffer *into            # memory of a body that does not fit x.inp; NULL: not needed so far
    void *owner             # layer 5's object, borrowed
    Link *next              # neighbours in its queue
    Link *previous
    Timer timer             # fires no later than `due`
    int64_t due             # ns at which the running wait ends; 0: never
    int64_t deadline        # ns at which the exchange ends, whatever it does; -1: never
    int64_t max_body        # bytes of body allowed on the wire; -1: any
    int fd                  # borrowed
    uint32_t tag            # position in Mux.links, and a count against late events
    int status              # Status with which the exchange stopped; for layer 5
    uint8_t state           # LinkState
    uint8_t queue           # LinkQueue
    uint8_t watched         # FP_READ, FP_WRITE
    uint8_t fired           # of those, reported

cdef struct LinkList:
    Link *first
    Link *last

cdef enum:
    SPARE_BUFFERS = 64

cdef struct Mux:            # written by links.pxi and mux.pxi; `woken` by any thread
    EventSet set
    Timers timers
    LinkList python         # QUEUE_PYTHON
    LinkList again          # QUEUE_AGAIN
    Link **links            # by position; malloc'd, owned; [0] is the wake-up's and NULL
    uint32_t cap
    uint32_t free           # first free position, chained through `next_free`; 0: none
    uint32_t *next_free     # malloc'd, owned
    uint32_t *serial        # of a position: counts its links; malloc'd, owned
    int64_t now             # ns: when the events being handled were fetched
    uint32_t unsent         # links on `again` that mux_begin() put there
    Buffer spares[SPARE_BUFFERS]    # receive buffers that no exchange uses; owned
    int spare_count
    uint32_t woken          # atomic: somebody rang, and run() has not yet returned for it

# --- slots: the lock-free slot array (slots.pxi owns every field) --------------------------

cdef enum SlotStatus:       # what slot_* returns; pool.pxi turns it into an exception
    SLOT_OK = 0
    SLOT_MATCH = 1          # done, and somebody waits: call slot_match, without the GIL
    SLOT_NONE = 2           # nothing there: queue empty (get) or full (put); nothing changed
    SLOT_QUEUED = 3         # others wait before us: take the locked path; nothing changed
    SLOT_CLOSED = 4         # nothing changed
    SLOT_ORPHAN = 5         # put into an array that was closed meanwhile: drain it
    SLOT_WAITING = 6        # state of a waiter: in line
    SLOT_SIGNAL = 7         # a signal ended the sleep: run PyErr_CheckSignals, sleep again
    SLOT_FORKED = 8         # this process is a child and the array is the parent's

cdef struct SlotNode:       # one slot; index 0 means "nobody" and stays zero
    void *payload           # reference owned by the slot, NULL: empty token; holder only (I3)
    uint32_t below          # next index down the stack, 0: bottom; atomic, relaxed
    uint32_t depth          # nodes from here to the bottom, this one included; same

cdef struct SlotStack:      # both words on one line: a push writes both
    uint64_t head           # tag << 20 | top index; atomic
    uint64_t replaced       # the head that the last push replaced; atomic, relaxed, may be late

cdef struct SlotWaiter:     # on the stack of the thread that waits; fields under `lock`
    SlotWaiter *next
    SlotWaiter *previous
    void *wake              # PyThread lock, held until the waiter is served or woken
    void *payload           # getter: what it was given; putter: what it wants to put
    int state               # SLOT_WAITING -> SLOT_OK or SLOT_CLOSED; SLOT_NONE: gave up

cdef struct SlotLine:       # waiters in order of arrival
    SlotWaiter *first       # under `lock`
    SlotWaiter *last        # under `lock`
    uint32_t count          # atomic; written under `lock`, read by everybody

cdef struct SlotArray:      # 64-byte gaps keep the contended words off each other's lines
    uint32_t capacity       # these three are set once, by slot_new
    uint32_t generation     # fork_count at birth
    SlotArray *parent       # the array that a fork made obsolete, kept until the pool dies
    char gap0[64]
    SlotStack avail         # slots with an item
    char gap1[64]
    SlotStack free          # slots without one
    char gap2[64]
    uint32_t closed         # atomic, 0 -> 1
    uint32_t filled         # atomic, 0 -> 1: every slot had an item once, so all are tokens
    SlotLine getters
    SlotLine putters
    char gap3[72]           # the 8 more keep each node on one line
    void *lock              # PyThread lock of both lines; nothing inside it calls Python
    uint64_t repeats        # atomic: pushes on `avail` that were not puts
    SlotNode nodes[1]       # capacity + 1

# --- end of slots ---------------------------------------------------------------------------
