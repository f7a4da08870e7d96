# Layer 5: attributes that are made at their first look.  Owns lazy and from_head, descriptors
# without `__set__`: an assignment takes their place, and so does what they have made.  Knows
# nothing of HTTP.  Calls nothing.

cdef extern from *:
    """
    /* dict.setdefault(), a new reference. */
    static inline PyObject *fp_set_default(PyObject *dict, PyObject *key, PyObject *value) {
        PyObject *kept;
    #if PY_VERSION_HEX >= 0x030D0000
        if (PyDict_SetDefaultRef(dict, key, value, &kept) < 0) return NULL;
    #else
        kept = PyDict_SetDefault(dict, key, value);
        Py_XINCREF(kept);
    #endif
        return kept;
    }
    """
    object fp_set_default(dict mapping, object key, object value)
    dict PyObject_GenericGetDict(object owner, void *context)


cdef inline object keep(object owner, str name, object value):
    """The owner's own attribute from now on: the value, or what another thread made first."""
    return fp_set_default(PyObject_GenericGetDict(owner, NULL), name, value)


@cython.final
@cython.auto_pickle(False)
cdef class lazy:
    """An attribute that `make` gives at its first look; then it is the instance's own."""

    cdef object make
    cdef str name

    def __init__(self, make not None):
        self.make = make

    def __set_name__(self, owner, str name not None):
        self.name = name

    def __get__(self, instance, owner):
        if instance is None:
            return self
        return keep(instance, self.name, self.make(instance))


@cython.final
@cython.auto_pickle(False)
cdef class from_head:
    """`default`, or the attribute `source` of the head of a response that has one."""

    cdef object default
    cdef str source
    cdef str name

    def __init__(self, default, str source not None):
        self.default = default
        self.source = source

    def __set_name__(self, owner, str name not None):
        self.name = name

    def __get__(self, instance, owner):
        if instance is None:
            return self.default
        head = instance._head
        if head is None:
            return self.default
        return keep(instance, self.name, getattr(head, self.source))
