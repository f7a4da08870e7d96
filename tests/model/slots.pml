/* The slot array (src/_fastpool/slots.pxi) as a model for Spin.
 *
 * A get moves a node from AVAIL to FREE, a put from FREE to AVAIL; everything else is
 * symmetric, so `move(GET)` and `move(PUT)` are one piece of text.  Names are those of
 * slots.pxi.  Memory is sequentially consistent, as the shipped code asks for.
 *
 * Parameters (-D):  NODES slots;  CLIENTS threads that take and return tokens;  PRODUCERS and
 * CONSUMERS threads that only put or only get;  ROUNDS operations of each;  TIMEOUTS a waiter
 * may give up at any time;  CLOSER one thread closes the array at any time;  TAGS values that
 * a tag can have;  ORDER checks the order of service too;  NO_NOTE lets each pop look at its
 * node.  With CLIENTS the array starts full of tokens, else it starts empty.
 *
 * Faults that the checks must find (negative controls):  TAGS=1, BUG_OLD_NOTE, BUG_LOOK_FIRST,
 * BUG_NO_LOOK, BUG_DRAIN_FIRST, BUG_BARGE.
 */
#ifndef NODES
#define NODES 2
#endif
#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifndef PRODUCERS
#define PRODUCERS 0
#endif
#ifndef CONSUMERS
#define CONSUMERS 0
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef TAGS
#define TAGS 8
#endif
#define THREADS (CLIENTS + PRODUCERS + CONSUMERS)

#define GET 0       /* also the stack AVAIL, from which a get pops */
#define PUT 1       /* also the stack FREE */
#define OTHER(side) (1 - side)

#define NOBODY 255
#define WAITING 1   /* waiter states; an operation ends as OK, NONE or CLOSED */
#define OK 2
#define NONE 3
#define CLOSED 4

byte top[2], tag[2];            /* heads of the two stacks; one word each */
byte replacedtop[2], replacedtag[2];    /* the head that the last push replaced, noted late */
byte below[NODES + 1];
bool held[NODES + 1];           /* ghost: in somebody's hands (I1) */
byte tokens;                    /* ghost: tokens out (I2) */
byte count[2];                  /* waiters in line, readable without the lock */
chan line[2] = [THREADS + 1] of { byte };       /* the lines; under the lock */
byte state[THREADS];            /* under the lock */
bool locked, closed;
byte published, taken;          /* ghost: successful puts and gets */
byte drained;                   /* ghost: nodes that a drain took */
byte finished;
#ifdef ORDER
byte ticket[THREADS];           /* ghost: which wait of the thread is in line; 0: none */
byte tickets;
#define ENLIST tickets++; ticket[me] = tickets
#define DISMISS(thread) ticket[thread] = 0
#else
#define ENLIST skip
#define DISMISS(thread) skip
#endif

#define LOCK atomic { !locked -> locked = true }
#define UNLOCK locked = false

/* the push that the note is about made the head with tag `t` */
#ifdef BUG_OLD_NOTE
#define NOTE_FITS(noted, t) true
#elif defined(NO_NOTE)
#define NOTE_FITS(noted, t) false
#else
#define NOTE_FITS(noted, t) ((noted + 1) % TAGS == t)
#endif

/* compare-and-swap on a head: tag and top are one word */
inline cas(stack, oldtop, oldtag, newtop, done) {
    done = (top[stack] == oldtop && tag[stack] == oldtag);
    if
    :: done -> top[stack] = newtop; tag[stack] = (tag[stack] + 1) % TAGS
    :: else
    fi
}

inline pop(stack, node) {
    do
    :: atomic { h = top[stack]; t = tag[stack] };
       if
       :: h == 0 -> node = 0; break
       :: else
       fi;
       atomic { n = replacedtop[stack]; done = NOTE_FITS(replacedtag[stack], t) };
       if
       :: done
       :: else -> n = below[h]
       fi;
       atomic {
           cas(stack, h, t, n, done);
           if
           :: done -> node = h; assert(!held[h]); held[h] = true; break
           :: else
           fi
       }
    od;
    h = 0; t = 0; n = 0; done = false
}

inline push(stack, node) {
    do
    :: atomic { h = top[stack]; t = tag[stack] };
       below[node] = h;
       atomic {
           cas(stack, h, t, node, done);
           if
           :: done -> assert(held[node]); held[node] = false; break
           :: else
           fi
       }
    od;
    atomic { replacedtop[stack] = h; replacedtag[stack] = t };
    h = 0; t = 0; done = false
}

/* under the lock: serve both lines until neither can be served */
inline match() {
    do
    :: node = 0;
       if
       :: len(line[GET]) > 0 -> pop(GET, node); side = GET
       :: else
       fi;
       if
       :: node == 0 && len(line[PUT]) > 0 -> pop(PUT, node); side = PUT
       :: else
       fi;
       if
       :: node == 0 -> break
       :: else
       fi;
       push(OTHER(side), node);
       d_step {
           line[side]?who; count[side]--; state[who] = OK; DISMISS(who); who = 0;
           if
           :: side == GET -> taken++
           :: else -> published++
           fi;
           side = 0
       }
    od;
    node = 0; side = 0
}

inline drain() {
    do
    :: pop(GET, node);
       if
       :: node == 0 -> break
       :: else -> drained++; push(PUT, node)
       fi
    od;
    node = 0
}

/* without waiting; result stays NONE when the line or the stack says so */
inline try(which) {
#ifdef ORDER
    d_step {
        first = NOBODY; since = 0;
        if
        :: !locked && len(line[which]) > 0 -> line[which]?<first>; since = ticket[first]
        :: else
        fi
    };
#endif
    if
    :: closed -> result = CLOSED
    :: else ->
#ifdef BUG_BARGE
       if
       :: true ->
#else
       if
       :: count[which] == 0 ->
#endif
          pop(which, node);
          if
          :: node != 0 ->
#ifdef ORDER
             /* I5: who stood in line before us has gone */
             assert(first == NOBODY || ticket[first] != since);
#endif
             push(OTHER(which), node);
             node = 0;
             d_step {
                 result = OK;
                 if
                 :: which == GET -> taken++
                 :: else -> published++
                 fi
             };
#ifndef BUG_DRAIN_FIRST
             if
             :: which == PUT && closed -> drain()
             :: else
             fi;
#endif
#ifndef BUG_NO_LOOK
             if
             :: count[OTHER(which)] != 0 -> LOCK; match(); UNLOCK
             :: else
             fi
#else
             skip
#endif
          :: else
          fi
       :: else
       fi
    fi
}

inline wait(which) {
    LOCK;
    if
    :: closed -> state[me] = CLOSED
    :: else ->
#ifdef BUG_LOOK_FIRST
       line[which]!me; state[me] = WAITING;
       match();
       if
       :: state[me] == WAITING -> count[which]++
       :: else -> count[which]++
       fi
#else
       d_step { line[which]!me; state[me] = WAITING; ENLIST };
       count[which]++;
       match()
#endif
    fi;
    UNLOCK;
    if
    :: state[me] != WAITING
#ifdef TIMEOUTS
    :: skip
#endif
    fi;
    LOCK;
    d_step {
        if
        :: state[me] == WAITING -> line[which]??eval(me); count[which]--; DISMISS(me); result = NONE
        :: else -> result = state[me]
        fi;
        state[me] = 0
    };
    UNLOCK
}

inline move(which) {
    result = NONE;
    try(which);
    if
    :: result == NONE -> wait(which)
    :: else
    fi
}

#define LOCALS byte h, t, n, node, side, who, first, since, result, round; bool done

/* takes a token and returns it, as a request does */
proctype client(byte me) {
    LOCALS;
    do
    :: round < ROUNDS ->
       round++;
       move(GET);
       if
       :: result == OK ->
          atomic { tokens++; assert(tokens <= NODES) };
          atomic { tokens-- };
          result = NONE;
          try(PUT);
          assert(result == OK || closed)        /* I2: a token finds its place */
       :: else
       fi
    :: else -> break
    od;
    finished++
}

proctype producer(byte me) {
    LOCALS;
    do
    :: round < ROUNDS -> round++; move(PUT)
    :: else -> break
    od;
    finished++
}

proctype consumer(byte me) {
    LOCALS;
    do
    :: round < ROUNDS -> round++; move(GET)
    :: else -> break
    od;
    finished++
}

proctype closer() {
    LOCALS;
#ifdef BUG_DRAIN_FIRST
    drain();
#endif
    closed = true;
    LOCK;
    d_step {
        do
        :: line[GET]?who -> count[GET]--; state[who] = CLOSED
        :: line[PUT]?who -> count[PUT]--; state[who] = CLOSED
        :: empty(line[GET]) && empty(line[PUT]) -> break
        od
    };
    UNLOCK;
#ifndef BUG_DRAIN_FIRST
    drain();
#endif
    finished++
}

init {
    byte i, size;
    byte start = (CLIENTS > 0 -> GET : PUT);
    atomic {
        i = 1;
        do
        :: i <= NODES ->
          replacedtop[start] = top[start]; replacedtag[start] = tag[start];
          below[i] = top[start]; top[start] = i; tag[start] = (tag[start] + 1) % TAGS; i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < CLIENTS -> run client(i); i++
        :: i >= CLIENTS && i < CLIENTS + PRODUCERS -> run producer(i); i++
        :: i >= CLIENTS + PRODUCERS && i < THREADS -> run consumer(i); i++
        :: else -> break
        od
#ifdef CLOSER
        ; run closer()
#endif
    };
#ifdef CLOSER
    finished == THREADS + 1;
#else
    finished == THREADS;        /* a deadlock here is a lost wake-up (I4) */
#endif
    assert(tokens == 0 && count[GET] == 0 && count[PUT] == 0);
    assert(empty(line[GET]) && empty(line[PUT]));
    d_step {
        i = top[GET]; size = 0;
        do
        :: i != 0 -> size++; assert(size <= NODES); i = below[i]
        :: else -> break
        od
    };
    assert((CLIENTS > 0 -> NODES : 0) + published == taken + drained + size);
    assert(!closed || size == 0);       /* nothing is left behind in a closed array */
    d_step {
        i = top[PUT];
        do
        :: i != 0 -> size++; assert(size <= NODES); i = below[i]
        :: else -> break
        od
    };
    assert(size == NODES)               /* I1 */
}
