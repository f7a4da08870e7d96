/* What the event set of one thread is made of: epoll, kqueue, and poll or WSAPoll for the rest.
 *
 * Three back ends with the same five calls, fp_KIND_open, _arm, _drop, _wait and _close, chosen
 * at run time by event.pxi; one that the system lacks fails with ENOSYS.  A descriptor that is
 * armed is reported as a tag and a set of FP_READ, FP_WRITE and FP_HANGUP:
 *
 *   FP_EDGE       every change to readable or writable once, until dropped
 *   without it    the first time that one of the wanted is possible, also when it is already
 *
 * After FP_HANGUP what is left to read can be read, and no further report may come.
 * Calls return 0 or a count, -1 with errno in *err.
 * No Python.h. */
#ifndef FASTPOOL_EVENT_H
#define FASTPOOL_EVENT_H

#include "system.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FP_EDGE 8

#define FP_EPOLL 1
#define FP_KQUEUE 2
#define FP_POLL 3

#define FP_POSITION_BITS 20 /* of a tag: the position in the mux's table */
#define FP_POSITION(tag) ((tag) & ((1u << FP_POSITION_BITS) - 1))

typedef struct {
    uint32_t tag;
    int ready;
} fp_event;

#include "event_epoll.h"
#include "event_kqueue.h"
#include "event_poll.h"

#if FP_HAS_EPOLL
#define FP_EVENTS_DEFAULT FP_EPOLL
#elif FP_HAS_KQUEUE
#define FP_EVENTS_DEFAULT FP_KQUEUE
#else
#define FP_EVENTS_DEFAULT FP_POLL
#endif

#include "event_wake.h"
#endif
