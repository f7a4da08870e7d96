# Layer 5: may a request take the compiled exchange?  Owns the decision, by the classes of the
# connection and its socket and by what was set on the connection.  Calls verdicts, places and
# wire.

@cython.final
cdef class Guard:
    """Decides per request whether a connection may take the compiled exchange.

    `examine_connection` and `examine_socket` look at a type and return a TypeSnapshot.
    """

    cdef Verdicts connections
    cdef Verdicts sockets
    cdef tuple hooks                # names that must not be set on the instance

    def __init__(self, examine_connection, examine_socket, tuple hooks not None):
        self.connections = Verdicts(examine_connection)
        self.sockets = Verdicts(examine_socket)
        self.hooks = hooks

    def transport_of(self, conn):
        """The verdict on the socket, or None; connects an unhooked, unconnected connection."""
        return self.verdict(conn)

    cdef object verdict(self, object conn):
        """transport_of() for compiled callers."""
        if not self.connections.on(type(conn)).bits or self.is_hooked(conn):
            return None
        sock = fp_read(conn, True, &of_connection.sock)
        if sock is None:
            conn.connect()
            sock = fp_read(conn, True, &of_connection.sock)
        return verdict_on(self.sockets, sock)

    cdef inline bint is_hooked(self, object conn) except -1:
        """A method was set on the instance.  Asked again only when its attributes have become
        more or fewer than they were when there was no hook among them."""
        cdef dict own
        wire = fp_read(conn, True, &of_connection.wire)
        if wire is not None and (<Wire?> wire).unhooked == fp_own_size(conn):
            return False
        own = fp_own(conn)
        if wire is not None and (<Wire?> wire).unhooked == len(own):
            return False
        if has_any(own, self.hooks):
            return True
        if wire is not None:
            (<Wire?> wire).unhooked = len(own)
        return False
