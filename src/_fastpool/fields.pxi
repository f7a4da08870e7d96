# Layer 5: header fields that stay bytes until somebody wants more than one of them.  Owns the
# block, a parsed head in one bytes object that never changes, and HeaderStore, the base of
# HTTPHeaderDict, which has such a block or the dict made of it.  The first becomes the second
# once, never back.  Calls names.

cdef extern from *:
    """
    /* Whether `object[key]` is what it is for `base`: nobody has overridden or replaced it. */
    static inline int fp_has_subscript_of(PyObject *object, PyTypeObject *base) {
        return Py_TYPE(object)->tp_as_mapping->mp_subscript == base->tp_as_mapping->mp_subscript;
    }

    /* A dict with room for `count` keys, where CPython says how to ask for it. */
    static inline PyObject *fp_dict_for(Py_ssize_t count) {
    #if CYTHON_COMPILING_IN_CPYTHON
        return _PyDict_NewPresized(count);
    #else
        (void) count;
        return PyDict_New();
    #endif
    }
    """
    dict fp_dict_for(Py_ssize_t count)
    bint fp_has_subscript_of(object self, type base)

cdef object HeaderDict = None           # pool.HTTPHeaderDict

cdef enum:
    BLOCK_FIELDS = sizeof(uint32_t)     # where they begin

cdef struct BlockView:          # of a block that somebody else keeps alive
    const Field *fields
    const Field *end
    const char *data            # the head; what offsets count from
    size_t size


cdef bytes block_new(const Head *h, const char *data):
    """The number of fields, the fields, and the head whose bytes start at `data`."""
    cdef size_t size = h.count * sizeof(Field)
    cdef bytes block = PyBytes_FromStringAndSize(NULL, BLOCK_FIELDS + size + h.size)
    cdef char *p = PyBytes_AS_STRING(block)
    memcpy(p, &h.count, BLOCK_FIELDS)
    if size:
        memcpy(p + BLOCK_FIELDS, h.fields, size)
    memcpy(p + BLOCK_FIELDS + size, data, h.size)
    return block


cdef inline BlockView block_view(bytes block) noexcept:
    cdef BlockView v
    cdef const char *p = PyBytes_AS_STRING(block)
    v.fields = <const Field *> (p + BLOCK_FIELDS)
    v.end = v.fields + (<const uint32_t *> p)[0]
    v.data = <const char *> v.end
    v.size = PyBytes_GET_SIZE(block) - (v.data - p)
    return v


cdef inline object field_name(const BlockView *v, const Field *f):
    return PyUnicode_DecodeLatin1(v.data + f.name, f.name_size, NULL)


cdef inline object field_value(const BlockView *v, const Field *f):
    return PyUnicode_DecodeLatin1(v.data + f.value, f.value_size, NULL)


cdef inline object text_new(const char *p, Py_ssize_t size, bint is_ascii):
    """That ISO-8859-1 text, quicker where the caller has seen that it is ASCII."""
    if not is_ascii:
        return PyUnicode_DecodeLatin1(p, size, NULL)
    text = PyUnicode_New(size, 127)
    memcpy(PyUnicode_DATA(text), p, size)
    return text


cdef const Field *field_find(const BlockView *v, object name) noexcept:
    """The first of `v.fields` with that ASCII name, in any case; NULL without one."""
    cdef const char *wanted = <const char *> PyUnicode_DATA(name)
    cdef uint32_t size = <uint32_t> PyUnicode_GET_LENGTH(name)
    cdef const Field *f = v.fields
    while f < v.end:
        if f.name_size == size and fp_equals_folded(v.data + f.name, wanted, size):
            return f
        f += 1
    return NULL


cdef list block_list(bytes block, object name):
    """The values of all fields with that ASCII name; None when there is none."""
    cdef BlockView v = block_view(block)
    cdef const Field *f = field_find(&v, name)
    cdef list values = None
    while f is not NULL:
        if values is None:
            values = []
        values.append(field_value(&v, f))
        v.fields = f + 1
        f = field_find(&v, name)
    return values


cdef object block_joined(bytes block, object name):
    """The same values joined by ", "."""
    cdef BlockView v = block_view(block)
    cdef const Field *f = field_find(&v, name)
    if f is NULL:
        return None
    v.fields = f + 1
    if field_find(&v, name) is NULL:
        return field_value(&v, f)
    return ", ".join(block_list(block, name))


cdef dict block_container(bytes block):
    """What HTTPHeaderDict works on: lower-cased name -> [name as first spelled, value, ...]."""
    cdef BlockView v = block_view(block)
    cdef const Field *f = v.fields
    cdef const KnownName *known
    cdef list lines
    cdef PyObject *first
    cdef dict found = fp_dict_for(v.end - v.fields)
    cdef bint is_ascii = fp_is_ascii(v.data, v.size)
    while f < v.end:
        known = name_find(v.data + f.name, f.name_size) if f.name_size else NULL
        if known is not NULL:
            name = <object> known.name
            lower = <object> known.lower
        else:
            name = field_name(&v, f)
            lower = (<str> name).lower()
        value = text_new(v.data + f.value, f.value_size, is_ascii)
        lines = [name, value]
        first = PyDict_SetDefault(found, lower, lines)
        if first is NULL:
            raise MemoryError
        if first is not <PyObject *> lines:
            (<list> <object> first).append(value)
        f += 1
    return found


cdef inline object text_name(object key):
    """Bytes are outside the declared types, and in use (elastic-apm, botocore)."""
    return key.decode("latin-1") if isinstance(key, bytes) else key


cdef inline bint is_plain_name(object key) noexcept:
    """One that a block can be asked for; what lower() makes of others is not known."""
    return PyUnicode_CheckExact(key) and PyUnicode_IS_ASCII(key)


cdef inline object joined(object lines):
    """One value of a container's list."""
    if type(lines) is list and len(<list> lines) == 2:
        return (<list> lines)[1]
    return ", ".join(lines[1:])


@cython.auto_pickle(False)
cdef class HeaderStore:
    """Base of `HTTPHeaderDict`: where its fields are, and the look-ups that leave them there."""

    cdef bytes block            # None: there is a container
    cdef object container       # None: not made yet

    @property
    def _container(self):
        """Lower-cased name -> [name as first written, value, value, ...]; made at first look."""
        with cython.critical_section(self):
            block, container = self.block, self.container
        if block is None and container is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute '_container'")
        return container if block is None else self.settle(block_container(block))

    @_container.setter
    def _container(self, container not None):
        with cython.critical_section(self):
            self.container = container
            self.block = None

    cdef object settle(self, dict container):
        """From now on this, or what another thread made meanwhile."""
        with cython.critical_section(self):
            if self.block is not None:
                self.container = container
                self.block = None
            return self.container

    cdef inline bytes block_for(self, object key):
        """The block that a look-up of `key` can be answered from, None for the container."""
        with cython.critical_section(self):
            return self.block if is_plain_name(key) else None

    def __getitem__(self, key):
        cdef bytes block = self.block_for(key)
        if block is None:
            return joined(self._container[text_name(key).lower()])
        value = block_joined(block, key)
        if value is None:
            raise KeyError(key.lower())
        return value

    def __contains__(self, key):
        cdef bytes block = self.block_for(key)
        cdef BlockView v
        if block is not None:
            v = block_view(block)
            return field_find(&v, key) is not NULL
        key = text_name(key)
        return isinstance(key, str) and key.lower() in self._container

    def get(self, key, default=None):
        """The lines of a field joined by `, `, or `default`."""
        cdef bytes block
        if not fp_has_subscript_of(self, HeaderStore):
            try:
                return self[key]
            except KeyError:
                return default
        block = self.block_for(key)
        if block is not None:
            value = block_joined(block, key)
            return default if value is None else value
        lines = self._container.get(text_name(key).lower())
        return default if lines is None else joined(lines)

    def _lines_of(self, key):
        """A new list of all lines of a field, each as it came; None if there are none."""
        cdef bytes block = self.block_for(key)
        if block is not None:
            return block_list(block, key)
        lines = self._container.get(text_name(key).lower())
        return None if lines is None else lines[1:]


def bind_headers(headers not None):
    """Tell the core the class of the header dicts that it makes."""
    global HeaderDict
    if not issubclass(headers, HeaderStore):
        raise TypeError("not a HeaderStore")
    HeaderDict = headers


cdef HeaderStore headers_new(bytes block):
    cdef HeaderStore headers = (<type> HeaderDict).__new__(HeaderDict)
    headers.block = block
    return headers
