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
        return ((PyTypeObject *)type)->tp_version_tag;
    }
    """
    unsigned int fp_type_version(object type)

from cpython.dict cimport PyDict_Contains


@cython.final
cdef class TypeSnapshot:
    """Remembers that `types` were found as `verdict` says; see `holds()`."""

    cdef readonly object verdict
    cdef tuple types
    cdef unsigned int tags[4]
    cdef Py_ssize_t count

    def __init__(self, tuple types not None, verdict):
        cdef Py_ssize_t i
        if len(types) > 4:
            raise ValueError("at most four types")
        self.types = types
        self.verdict = verdict
        self.count = len(types)
        for i in range(self.count):
            self.tags[i] = fp_type_version(types[i])

    def holds(self):
        """True while no type, and no base of one, was modified."""
        cdef Py_ssize_t i
        for i in range(self.count):
            if self.tags[i] == 0 or fp_type_version(self.types[i]) != self.tags[i]:
                return False
        return True


def has_any(dict names not None, tuple wanted not None):
    """True when one of the `wanted` names is a key of `names`."""
    cdef Py_ssize_t i
    for i in range(len(wanted)):
        if PyDict_Contains(names, wanted[i]):
            return True
    return False


def is_quiet(int fd):
    """True when a connected socket has nothing to read and was not closed by its peer."""
    cdef bint quiet
    if fd < 0:
        return False
    with nogil:
        quiet = tcp_is_quiet(fd)
    return quiet
