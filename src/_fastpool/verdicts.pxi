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

    typedef struct {
        PyObject *type;                 /* borrowed: the snapshot holds it */
        unsigned int tag;               /* not 0 */
    } fp_tag;

    /* Whether all types have the version tags that they had. */
    static inline int fp_have_tags(const fp_tag *at, const fp_tag *end) {
        for (; at < end; at++) {
            if (fp_type_version(at->type) != at->tag) return 0;
        }
        return 1;
    }

    static inline fp_tag fp_tag_of(PyObject *type) {
        return (fp_tag){type, fp_type_version(type)};
    }

    typedef struct {
        PyFunctionObject *function;     /* borrowed, as its code: the snapshot holds both */
        PyObject *code;
    } fp_code;

    #define FP_CODES_AT_ONCE 4

    /* Whether all functions have the code objects that they had; there are a multiple of four.
     * Without a branch for each: this is asked per request. */
    static inline int fp_have_codes(const fp_code *at, const fp_code *end) {
        uintptr_t other = 0;
        for (; at < end; at += FP_CODES_AT_ONCE) {
            other |= (uintptr_t)at[0].function->func_code ^ (uintptr_t)at[0].code;
            other |= (uintptr_t)at[1].function->func_code ^ (uintptr_t)at[1].code;
            other |= (uintptr_t)at[2].function->func_code ^ (uintptr_t)at[2].code;
            other |= (uintptr_t)at[3].function->func_code ^ (uintptr_t)at[3].code;
        }
        return other == 0;
    }

    static inline fp_code fp_code_of(PyObject *function, PyObject *code) {
        return (fp_code){(PyFunctionObject *)function, code};
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

    /* fp_dict_version() and the size of an object's own attributes, without a reference taken
     * to them; 0 and -1 where that is not so easy. */
    #if PY_VERSION_HEX < 0x030C0000
    static inline PyDictObject *fp_seen_own(PyObject *object) {
        PyTypeObject *type = Py_TYPE(object);
        PyObject **place = NULL;
        if (type->tp_dictoffset > 0) place = (PyObject **)((char *)object + type->tp_dictoffset);
    #if PY_VERSION_HEX >= 0x030B0000
        else if (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) place = (PyObject **)object - 3;
    #endif
        return place != NULL ? (PyDictObject *)*place : NULL;
    }

    static inline uint64_t fp_own_version(PyObject *object) {
        PyDictObject *own = fp_seen_own(object);
        return own != NULL ? own->ma_version_tag : 0;
    }

    static inline Py_ssize_t fp_own_size(PyObject *object) {
        PyDictObject *own = fp_seen_own(object);
        return own != NULL ? own->ma_used : -1;
    }
    #else
    #define fp_own_version(object) ((void)(object), (uint64_t)0)
    #define fp_own_size(object) ((void)(object), (Py_ssize_t)-1)
    #endif

    static inline int fp_is_empty_dict(PyObject *value) {
        return PyDict_CheckExact(value) && PyDict_GET_SIZE(value) == 0;
    }

    /* What `if value` means, first of all of a bool. */
    static inline int fp_true(PyObject *value) {
        if (value == Py_True) return 1;
        if (value == Py_False || value == Py_None) return 0;
        return PyObject_IsTrue(value);
    }

    /* Without it a field must not be replaced while others read it. */
    #ifdef Py_GIL_DISABLED
    #define FP_HAS_GIL 0
    #else
    #define FP_HAS_GIL 1
    #endif
    """
    unsigned int fp_type_version(object type)
    unsigned int fp_version_of(object value)
    ctypedef struct fp_tag:
        unsigned int tag
    bint fp_have_tags(const fp_tag *at, const fp_tag *end)
    fp_tag fp_tag_of(object cls)
    uint64_t fp_dict_version(dict mapping) noexcept
    ctypedef struct fp_code:
        pass
    const int FP_CODES_AT_ONCE
    bint fp_have_codes(const fp_code *at, const fp_code *end)
    fp_code fp_code_of(object function, object code)
    uint64_t fp_own_version(object owner) noexcept
    Py_ssize_t fp_own_size(object owner) noexcept
    bint fp_true(object value) except -1
    bint fp_is_empty_dict(object value) noexcept
    dict fp_own(object owner)
    object fp_dict_get(dict known, object key)
    object fp_attribute(dict own, object owner, str name)
    const int FP_HAS_GIL

    bint PyFunction_Check(object value)

from cpython.dict cimport PyDict_Contains


@cython.final
cdef class TypeSnapshot:
    """Remembers that `types` were found as `verdict` says; see `holds()`.

    `functions` are plain functions whose code must stay what it is: an agent that rewrites
    bytecode puts another code object into a function, and the type does not notice.
    """

    cdef readonly object verdict
    cdef tuple types
    cdef fp_tag tags[4]
    cdef fp_tag *last_tag           # one past the last; NULL: one of the types has none
    cdef unsigned int version       # of the only type, where it tells everything; else 0
    cdef int bits                   # the verdict, if it is a number
    cdef tuple functions            # padded by repetition; see fp_have_codes()
    cdef tuple codes
    cdef fp_code *first_code        # malloc'd, owned
    cdef fp_code *last_code         # one past the last

    def __init__(self, tuple types not None, verdict, tuple functions=()):
        cdef Py_ssize_t i
        self.remember_codes(functions)
        if len(types) > 4:
            raise ValueError("at most four types")
        self.types = types
        self.verdict = verdict
        self.last_tag = self.tags + len(types)
        for i in range(len(types)):
            self.tags[i] = fp_tag_of(types[i])
            if self.tags[i].tag == 0:
                self.last_tag = NULL
        self.version = self.tags[0].tag if len(types) == 1 and not functions else 0
        self.bits = verdict if isinstance(verdict, int) else 0

    def __dealloc__(self):
        free(self.first_code)

    cdef int remember_codes(self, tuple functions) except -1:
        """Note what `functions` run now; once."""
        cdef Py_ssize_t count
        cdef Py_ssize_t i
        if self.first_code is not NULL:
            raise RuntimeError("initialised twice")
        # A wrapper passes for a function; what is in its place is no code.
        functions = tuple([each for each in functions if PyFunction_Check(each)])
        count = len(functions) % FP_CODES_AT_ONCE
        if count:
            functions += functions[:1] * (FP_CODES_AT_ONCE - count)
        self.functions = functions
        self.codes = tuple([function.__code__ for function in functions])
        count = len(functions)
        self.first_code = <fp_code *> malloc(max(count, 1) * sizeof(fp_code))
        if self.first_code is NULL:
            raise MemoryError
        for i in range(count):
            self.first_code[i] = fp_code_of(self.functions[i], self.codes[i])
        self.last_code = self.first_code + count
        return 0

    cdef inline bint unchanged(self) noexcept:
        return (
            self.last_tag is not NULL
            and fp_have_tags(self.tags, self.last_tag)
            and fp_have_codes(self.first_code, self.last_code)
        )

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

    cdef TypeSnapshot on(self, object cls):
        cdef TypeSnapshot snapshot = self.last
        if snapshot.types[0] is cls and snapshot.unchanged():
            return snapshot
        snapshot = fp_dict_get(self.known, cls)
        if snapshot is None or not snapshot.unchanged():
            snapshot = self.examine(cls)
            self.known[cls] = snapshot
        if FP_HAS_GIL:
            self.last = snapshot
        return snapshot


cdef inline object verdict_on(Verdicts verdicts, object owner):
    """What is known of the class of `owner`."""
    cdef TypeSnapshot last = verdicts.last
    if last.version and fp_version_of(owner) == last.version:
        return last.verdict
    return verdicts.on(type(owner)).verdict


cdef inline int bits_on(Verdicts verdicts, object owner) except -1:
    """The same, where verdicts are numbers."""
    cdef TypeSnapshot last = verdicts.last
    if last.version and fp_version_of(owner) == last.version:
        return last.bits
    return verdicts.on(type(owner)).bits
