# Layer 5: a connection out of its pool and back.  Owns the decision which idle connection is
# still good and which one may be kept.  Between checkout and return a connection belongs to the
# caller.  Calls pool, wire, response and hooks; what is rare is left to methods of the pool.

cdef object SlotQueue = None            # pool.util.queue.SlotQueue
cdef object stock_is_dropped = None     # is_connection_dropped(), as it was
cdef dict pool_module = None            # namespace of pool.connectionpool: its globals are patched


def bind_pools(queue_class, dict module not None):
    """Tell the core the queue class, and the namespace of pool.connectionpool."""
    global SlotQueue, pool_module, stock_is_dropped
    stock_is_dropped = module["is_connection_dropped"]
    SlotQueue = queue_class
    pool_module = module


def checkout(pool, timeout):
    """`HTTPConnectionPool._get_conn()`."""
    conn = take_out(pool, is_pool_with_place(pool), timeout)
    restore_mode_of(conn)
    return conn


cdef int restore_mode_of(object conn) except -1:
    """Make the socket of a connection what Python believes it is: somebody is given it."""
    if has_place(conn):
        wire = fp_read(conn, True, &of_connection.wire)
        if wire is not None and (<Wire?> wire).t.kernel_ns:
            (<Wire> wire).restore_mode(fp_read(conn, True, &of_connection.sock))
    return 0


cdef object take_out(object pool, bint known, object timeout):
    """An idle connection that is still good, or a fresh one."""
    cdef bint taken = False
    idle = fp_read(pool, known, &of_pool.pool)
    if idle is None:
        pool._refuse_closed()
    try:
        conn = take_idle(fp_read(pool, known, &of_pool.block), idle, timeout)
        # A signal handler runs between two bytecodes, and so never between these two lines.
        taken = True
        if conn is not None and not is_usable(conn):
            pool._reset(conn)
        return conn if conn is not None and fp_true(conn) else pool._new_conn()
    except BaseException as e:
        if taken:
            pool._put_conn(None)
        if taken or not isinstance(e, queue_errors(QueueEmpty, "Empty")):
            raise
        pool._find_nothing()
    return open_one(pool)


cdef object open_one(object pool):
    """A fresh connection, where there was none to take."""
    try:
        return pool._new_conn()
    except BaseException:
        pool._put_conn(None)
        raise


cdef object take_idle(object block, object idle, object timeout):
    if type(idle) is SlotQueue:
        return (<SlotPool> idle).take(block, timeout)
    return idle.get(block, timeout)


cdef tuple queue_errors(object known, str name):
    """Green-thread libraries replace the module's; a queue made before raises the ones it knew."""
    return known, getattr(pool_module["queue"], name)


cdef bint is_usable(object conn) except -1:
    """Nothing has come on an idle connection, it is of this process, and its last response was
    read.  Other people's connections, and a patched is_connection_dropped(), are asked."""
    if looks_plainly():
        if has_place(conn):
            wire = fp_read(conn, True, &of_connection.wire)
            sock = fp_read(conn, True, &of_connection.sock)
        else:
            wire = getattr(conn, "_wire", None)
            sock = getattr(conn, "sock", None)
        if type(wire) is Wire and (<Wire> wire).is_idle(sock):
            return True
    return not (pool_module["is_connection_dropped"](conn) or pool_module["_is_foreign"](conn))


cdef uint64_t plain_version = 0         # of `pool_module` when nobody had patched it


cdef bint looks_plainly() except -1:
    """Nobody has patched pool.connectionpool.is_connection_dropped()."""
    global plain_version
    cdef uint64_t version = fp_dict_version(pool_module)
    if version and version == plain_version:
        return True
    if fp_dict_get(pool_module, "is_connection_dropped") is not stock_is_dropped:
        return False
    plain_version = version
    return True


def give_back(pool, conn):
    """`HTTPConnectionPool._put_conn()`."""
    put_back(pool, is_pool_with_place(pool), conn)


cdef int put_back(object pool, bint known, object conn) except -1:
    """Put a connection, or with None the right to open one, into the idle ones."""
    idle = fp_read(pool, known, &of_pool.pool)
    if conn is not None and not may_keep(conn):
        inherited = is_inherited(conn)
        conn.close()
        if inherited and isinstance(idle, SlotPool):
            return 0    # in a forked child it has all its rights back already
    if idle is None:
        pool._drop(conn, None)
        return 0
    try:
        if type(idle) is SlotQueue:
            (<SlotPool> idle).give(conn, False, None)
        else:
            idle.put(conn, False)
    except queue_errors(QueueFull, "Full"):
        pool._drop(conn, idle)
    else:
        if fp_read(pool, known, &of_pool.pool) is None:
            # Closed at the same time, perhaps before our put.
            pool_module["_close_pool_connections"](idle)
    return 0


cdef int take_back(object pool, int bits, object conn, object response) except -1:
    """Put back a connection, unless its response was left unread to be drained."""
    cdef int code = code_of(response)
    if code < 0 or 300 <= code < 400:
        if getattr(response, "_redirect_deferred", False) is True:
            response._connection = conn
            return 0
    if bits & OUR_PUT_CONN:
        put_back(pool, bits & HAS_MEMBERS, conn)
    else:
        pool._put_conn(conn)
    return 0


cdef bint may_keep(object conn) except -1:
    """Whether a connection may go back into its pool: of this process, and not to be closed."""
    if has_place(conn):
        if fp_read(conn, True, &of_connection.close_after_response) is True:
            return False
        return not is_of_another(fp_read(conn, True, &of_connection.fork_generation))
    if getattr(conn, "_close_after_response", False) is True:
        return False
    return not is_inherited(conn)


cpdef bint is_inherited(conn) except -1:
    """Whether a connection was opened in another process, before a fork."""
    return is_of_another(getattr(conn, "_fork_generation", None))


cdef inline bint is_of_another(object born) except -1:
    """Whether `born`, a connection's fork generation, is another process's."""
    return type(born) is int and <uint32_t> born != fp_load_relaxed_u32(&fork_count)
