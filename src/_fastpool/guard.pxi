# Layer 5: may a request take the compiled exchange?  Owns snapshots of type versions: CPython
# gives a type a new version tag whenever it, or one of its bases, is modified, so that "nobody
# has hooked a method since we looked" is a comparison of integers instead of forty look-ups.

cdef extern from *:
    """
    /* 0 when the type was modified since its last look-up, or has no tag (3.10: a flag). */
    static inline unsigned int fp_type_version(PyObject *type) {
    #if PY_VERSION_HEX < 0x030B0000
        if (!(((PyTypeObject *)type)->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG)) return 0;
    #endif
        /* Race: another thread modifies the type just now, before or after this look. */
        return fp_load_relaxed_u32((uint32_t *)&((PyTypeObject *)type)->tp_version_tag);
    }

    /* dict.get() as Cython does not have it: with a borrowed reference, another thread without
     * the GIL could replace the value before it is counted. */
    static inline PyObject *fp_dict_get(PyObject *dict, PyObject *key) {
        PyObject *value;
    #if PY_VERSION_HEX >= 0x030D0000
        if (PyDict_GetItemRef(dict, key, &value) == 0) value = Py_NewRef(Py_None);
    #else
        value = PyDict_GetItemWithError(dict, key);
        if (value == NULL && !PyErr_Occurred()) value = Py_None;
        Py_XINCREF(value);
    #endif
        return value;
    }
    """
    unsigned int fp_type_version(object type)
    object fp_dict_get(dict known, object key)

cdef extern from "Python.h":
    PyObject *PyFunction_GET_CODE(object function)

from cpython.dict cimport PyDict_Contains


@cython.final
cdef class TypeSnapshot:
    """Remembers that `types` were found as `verdict` says; see `holds()`.

    `functions` are plain functions whose code must stay what it is: an agent that rewrites
    bytecode puts another code object into a function, and the type does not notice.
    """

    cdef readonly object verdict
    cdef tuple types
    cdef unsigned int tags[4]
    cdef Py_ssize_t count
    cdef tuple functions
    cdef tuple codes

    def __init__(self, tuple types not None, verdict, tuple functions=()):
        cdef Py_ssize_t i
        self.functions = functions
        self.codes = tuple([function.__code__ for function in functions])
        if len(types) > 4:
            raise ValueError("at most four types")
        self.types = types
        self.verdict = verdict
        self.count = len(types)
        for i in range(self.count):
            self.tags[i] = fp_type_version(types[i])

    cdef bint unchanged(self) noexcept:
        cdef Py_ssize_t i
        for i in range(self.count):
            if self.tags[i] == 0 or fp_type_version(self.types[i]) != self.tags[i]:
                return False
        for i in range(len(self.functions)):
            if PyFunction_GET_CODE(self.functions[i]) != <PyObject *> self.codes[i]:
                return False
        return True

    def holds(self):
        """True while no type, and no base of one, was modified."""
        return self.unchanged()


cpdef bint has_any(dict names, tuple wanted) except -1:
    """True when one of the `wanted` names is a key of `names`."""
    cdef Py_ssize_t i
    for i in range(len(wanted)):
        if PyDict_Contains(names, wanted[i]):
            return True
    return False


@cython.final
cdef class Verdicts:
    """What `examine` says of types, asked again for a type that was modified since.

    `examine(cls)` returns a TypeSnapshot.
    """

    cdef dict known                 # type -> TypeSnapshot
    cdef object examine

    def __init__(self, examine):
        self.known = {}
        self.examine = examine

    cdef object of(self, object cls):
        cdef TypeSnapshot snapshot = fp_dict_get(self.known, cls)
        if snapshot is None or not snapshot.unchanged():
            snapshot = self.examine(cls)
            self.known[cls] = snapshot
        return snapshot.verdict


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
        if not self.connections.of(type(conn)) or self.is_hooked(conn.__dict__):
            return None
        sock = conn.sock
        if sock is None:
            conn.connect()
            sock = conn.sock
        return self.sockets.of(type(sock))

    cdef bint is_hooked(self, dict own) except -1:
        """A method was set on the instance.  Asked again only when its attributes have become
        more or fewer than they were when there was no hook among them."""
        wire = fp_dict_get(own, "_wire")
        if wire is not None and (<Wire?> wire).unhooked == PyDict_Size(own):
            return False
        if has_any(own, self.hooks):
            return True
        if wire is not None:
            (<Wire?> wire).unhooked = PyDict_Size(own)
        return False
