# Layer 5: what nobody has hooked.  Owns which methods of a pool or a manager are the ones of
# this package: not overridden, not replaced in the class, not set on the instance.  What is
# ours the core does itself; what is somebody's it calls.  Calls guard.

cdef enum Ours:             # bits
    OUR_URLOPEN = 1         # of a pool
    OUR_GET_CONN = 2
    OUR_PUT_CONN = 4
    OUR_MAKE_REQUEST = 8
    OUR_VALIDATE_CONN = 16  # of a pool for HTTP: nothing to do
    OUR_VALIDATE_TLS = 32   # of a pool for HTTPS: connect, and warn when nobody was verified
    OUR_SENDING = 64        # PoolManager.urlopen()
    OUR_LOOKUP = 128        # how a manager finds a pool

cdef extern from *:
    """
    /* The attributes of an object itself, without a look at its type. */
    static inline PyObject *fp_own(PyObject *object) {
        return PyObject_GenericGetDict(object, NULL);
    }

    /* getattr(object, name), where `own` are the object's own attributes. */
    static inline PyObject *fp_attribute(PyObject *own, PyObject *object, PyObject *name) {
        PyObject *value;
    #if PY_VERSION_HEX >= 0x030D0000
        if (PyDict_GetItemRef(own, name, &value) < 0) return NULL;
    #else
        value = PyDict_GetItemWithError(own, name);
        if (value == NULL && PyErr_Occurred()) return NULL;
        Py_XINCREF(value);
    #endif
        return value != NULL ? value : PyObject_GetAttr(object, name);
    }
    """
    dict fp_own(object owner)
    object fp_attribute(dict own, object owner, str name)

cdef dict bit_of = {
    "urlopen": OUR_URLOPEN,
    "get_conn": OUR_GET_CONN,
    "put_conn": OUR_PUT_CONN,
    "make_request": OUR_MAKE_REQUEST,
    "validate_conn": OUR_VALIDATE_CONN,
    "validate_tls": OUR_VALIDATE_TLS,
    "sending": OUR_SENDING,
    "lookup": OUR_LOOKUP,
}
cdef list our_methods = []      # (bit, name -> function)
cdef tuple hookable = ()        # all those names


def bind_methods(str bit not None, *functions):
    """Tell the core the methods that together make up one of the OUR_ bits."""
    global hookable
    named = {function.__name__: function for function in functions}
    our_methods.append((bit_of[bit], named))
    hookable = tuple({*hookable, *named})


def examine_owner(cls):
    """The OUR_ bits of a class of pools or managers, as a TypeSnapshot."""
    bits = 0
    for bit, functions in our_methods:
        if all([getattr(cls, name, None) is function for name, function in functions.items()]):
            bits |= bit
    return TypeSnapshot((cls,), bits)


cdef Verdicts owners = Verdicts(examine_owner)


cdef int ours(object owner, dict own) except -1:
    """The OUR_ bits of a pool or a manager; `own` are its own attributes.

    Those are looked through again only when they have become more or fewer than they were when
    there was no hook among them; `_unhooked` remembers how many that was.
    """
    cdef int bits = owners.of(type(owner))
    if bits == 0 or fp_dict_get(own, "_unhooked") == PyDict_Size(own):
        return bits
    if not has_any(own, hookable):
        own["_unhooked"] = PyDict_Size(own) + ("_unhooked" not in own)
        return bits
    for bit, functions in our_methods:
        if has_any(own, tuple(functions)):
            bits &= ~(<int> bit)
    return bits
