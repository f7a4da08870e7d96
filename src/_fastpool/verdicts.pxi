# Layer 5: what was found out about a class holds until it is modified.  Owns snapshots of type
# versions: CPython gives a type a new version tag whenever it, or one of its bases, is
# modified, so that "nobody has hooked a method since we looked" is a comparison of integers
# instead of forty look-ups.  The same of a dict, where CPython numbers its states: who has looked
# into one remembers the number.  Calls nothing.

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

    static inline unsigned int fp_version_of(PyObject *object) {
        return fp_type_version((PyObject *)Py_TYPE(object));
    }

    /* Whether all types have the version tags that they had. */
    static inline int fp_have_tags(PyObject *types, const unsigned int *tags) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(types); i++) {
            if (tags[i] == 0 || fp_type_version(PyTuple_GET_ITEM(types, i)) != tags[i]) return 0;
        }
        return 1;
    }

    /* Whether all functions have the code objects that they had. */
    static inline int fp_have_codes(PyObject *functions, PyObject *codes) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(functions); i++) {
            PyFunctionObject *function = (PyFunctionObject *)PyTuple_GET_ITEM(functions, i);
            if (function->func_code != PyTuple_GET_ITEM(codes, i)) return 0;
        }
        return 1;
    }

    /* The attributes of an object itself, without a look at its type. */
    static inline PyObject *fp_own(PyObject *object) {
        return PyObject_GenericGetDict(object, NULL);
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

    /* A number that no dict has twice, whatever is done to it: PEP 509.  0: there is none. */
    #if PY_VERSION_HEX < 0x030C0000
    #define fp_dict_version(d) (((PyDictObject *)(d))->ma_version_tag)
    #else
    #define fp_dict_version(d) ((void)(d), (uint64_t)0)
    #endif

    /* Without it a field must not be replaced while others read it. */
    #ifdef Py_GIL_DISABLED
    #define FP_HAS_GIL 0
    #else
    #define FP_HAS_GIL 1
    #endif
    """
    unsigned int fp_type_version(object type)
    unsigned int fp_version_of(object value)
    bint fp_have_tags(tuple types, const unsigned int *tags)
    uint64_t fp_dict_version(dict mapping) noexcept
    bint fp_have_codes(tuple functions, tuple codes)
    dict fp_own(object owner)
    object fp_dict_get(dict known, object key)
    object fp_attribute(dict own, object owner, str name)
    const int FP_HAS_GIL

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
    cdef unsigned int version       # of the only type, where it tells everything; else 0
    cdef int bits                   # the verdict, if it is a number
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
        for i in range(len(types)):
            self.tags[i] = fp_type_version(types[i])
        self.version = self.tags[0] if len(types) == 1 and not functions else 0
        self.bits = verdict if isinstance(verdict, int) else 0

    cdef bint unchanged(self) noexcept:
        return fp_have_tags(self.types, self.tags) and fp_have_codes(self.functions, self.codes)

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

    `examine(cls)` returns a TypeSnapshot, the class first among its types.
    """

    cdef dict known                 # type -> TypeSnapshot
    cdef object examine
    cdef TypeSnapshot last          # with a GIL: the entry that was asked for last

    def __init__(self, examine):
        self.known = {}
        self.examine = examine
        self.last = TypeSnapshot((object,), None)
        self.last.version = 0

    cdef object of(self, object cls):
        cdef TypeSnapshot snapshot = self.last
        if snapshot.types[0] is cls and snapshot.unchanged():
            return snapshot.verdict
        snapshot = fp_dict_get(self.known, cls)
        if snapshot is None or not snapshot.unchanged():
            snapshot = self.examine(cls)
            self.known[cls] = snapshot
        if FP_HAS_GIL:
            self.last = snapshot
        return snapshot.verdict


cdef inline object verdict_on(Verdicts verdicts, object owner):
    """What is known of the class of `owner`."""
    cdef TypeSnapshot last = verdicts.last
    if last.version and fp_version_of(owner) == last.version:
        return last.verdict
    return verdicts.of(type(owner))


cdef inline int bits_on(Verdicts verdicts, object owner) except -1:
    """The same, where verdicts are numbers."""
    cdef TypeSnapshot last = verdicts.last
    if last.version and fp_version_of(owner) == last.version:
        return last.bits
    return verdicts.of(type(owner))
