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
cdef class Guard:
    """Decides per request whether a connection may take the compiled exchange.

    `examine_connection` and `examine_socket` look at a type and return a TypeSnapshot; they
    are asked for types not seen before and for types that were modified since.
    """

    cdef dict connections           # type of connection -> TypeSnapshot
    cdef dict sockets               # type of socket -> TypeSnapshot
    cdef object examine_connection
    cdef object examine_socket
    cdef tuple hooks                # names that must not be set on the instance

    def __init__(self, examine_connection, examine_socket, tuple hooks not None):
        self.connections = {}
        self.sockets = {}
        self.examine_connection = examine_connection
        self.examine_socket = examine_socket
        self.hooks = hooks

    cdef object verdict(self, dict known, object cls, object examine):
        cdef TypeSnapshot snapshot = fp_dict_get(known, cls)
        if snapshot is None or not snapshot.unchanged():
            snapshot = examine(cls)
            known[cls] = snapshot
        return snapshot.verdict

    def transport_of(self, conn):
        """The verdict on the socket, or None; connects an unhooked, unconnected connection."""
        if not self.verdict(self.connections, type(conn), self.examine_connection):
            return None
        if has_any(conn.__dict__, self.hooks):
            return None
        sock = conn.sock
        if sock is None:
            conn.connect()
            sock = conn.sock
        return self.verdict(self.sockets, type(sock), self.examine_socket)
