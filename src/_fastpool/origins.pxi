# Layer 5: which pool serves a URL.  Owns the map from origins ("http://host:port") to the
# manager's pool keys: it saves parsing the URL and building the key.  It knows keys, not
# pools, because the pools of a manager may be cleared and replaced at any time; what a key
# depends on is compared at each use.  Calls url and hooks.

cdef enum:
    MOST_ORIGINS = 16384    # entries; all are forgotten when there are more

cdef object stock_container = None      # RecentlyUsedContainer
def bind_container(container):
    """Tell the core what keeps a manager's pools."""
    global stock_container
    stock_container = container


cdef bint looks_up_plainly(object manager) except -1:
    """Nobody overrode or replaced how this manager finds its pools."""
    return ours_of_manager(manager) & OUR_LOOKUP != 0


@cython.final
cdef class Origins:
    """The pool keys of a manager, by origin."""

    # origin -> (scheme, make_key, key, the manager's pool keywords behind it, origin); bound
    # once, and an entry is one tuple: without the GIL no thread sees a half of one.
    cdef dict keys
    cdef tuple newest           # with a GIL: the entry that was looked up last
    cdef dict latest            # None -> the keywords last learned, shared by the entries
    # With dict versions, of the entry that was found valid last: those of what it depends on.
    cdef tuple valid
    cdef uint64_t keywords_version
    cdef uint64_t functions_version

    def __cinit__(self):
        self.keys = {}
        self.latest = {}

    def find(self, manager, str url not None):
        """(pool, request target) for a URL in normal form whose key is known, else None."""
        cdef Py_ssize_t size = 0
        pool = self.look_up(manager, ours_of_manager(manager), url, &size)
        return None if pool is None else (pool, end_of_url(url, size))

    cdef object look_up(self, object manager, int bits, str url, Py_ssize_t *size):
        """The pool of find() for a manager with these OUR_ bits, and where the target begins."""
        cdef bint known = bits & HAS_MEMBERS
        cdef tuple entry
        if not bits & OUR_LOOKUP or not PyUnicode_IS_ASCII(url):
            return None
        entry = self.entry_of(url, size)
        if entry is None or not self.is_valid(
            entry, fp_read(manager, known, &of_manager.connection_pool_kw),
            fp_read(manager, known, &of_manager.key_fn_by_scheme),
        ):
            return None
        return pool_of(fp_read(manager, known, &of_manager.pools), entry[2])

    cdef bint is_valid(self, tuple entry, object keywords, object functions) except -1:
        """Whether these would lead to the same key again."""
        cdef uint64_t version
        if type(keywords) is not dict or type(functions) is not dict:
            return False
        version = fp_dict_version(keywords)
        if (
            version and self.valid is entry and version == self.keywords_version
            and fp_dict_version(functions) == self.functions_version
        ):
            return True
        if fp_dict_get(functions, entry[0]) is not entry[1]:
            return False
        if not has_same_values(keywords, entry[3]):
            return keywords == entry[3]     # one that can be changed is a copy there
        if version:
            self.valid = entry
            self.keywords_version = version
            self.functions_version = fp_dict_version(functions)
        return True

    cdef tuple entry_of(self, str url, Py_ssize_t *size):
        """What is known of the origin of an ASCII URL, and its size in bytes."""
        cdef Text text = text_ascii(url)
        cdef tuple entry = self.newest
        if entry is not None:
            size[0] = url_behind(text, text_ascii(entry[4]))
            if size[0]:
                return entry
        size[0] = url_plain_origin(text)
        if size[0] == 0:
            return None
        entry = fp_dict_get(self.keys, url[:size[0]])
        if FP_HAS_GIL:
            self.newest = entry
        return entry

    def learn(self, manager, str url not None, str scheme not None, key, dict settings not None):
        """Note the key of the pool that serves `url`; `settings` are not changed any more."""
        cdef size_t size = plain_origin(url)
        functions = manager.key_fn_by_scheme
        if size == 0 or type(functions) is not dict or not looks_up_plainly(manager):
            return
        known = fp_dict_get(self.latest, None)
        if known == settings:
            settings = known
        else:
            self.latest[None] = settings
        if len(self.keys) >= MOST_ORIGINS:
            self.keys.clear()
        origin = url[:size]
        if FP_HAS_GIL:
            self.newest = None
        self.keys[origin] = (scheme, functions[scheme], key, settings, origin)


cdef bint has_same_values(dict given, dict known) except -1:
    """The same objects under the same names, seen without the locks of dicts; False, too, where
    one is None, which may mean that there is none."""
    cdef PyObject *name
    cdef PyObject *value
    cdef Py_ssize_t at = 0
    if PyDict_Size(given) != PyDict_Size(known):
        return False
    while PyDict_Next(known, &at, &name, &value):   # never changed
        if <object> value is None or fp_dict_get(given, <object> name) is not <object> value:
            return False
    return True


cdef size_t plain_origin(str url) except? 0:
    return url_plain_origin(text_of(url)) if PyUnicode_IS_ASCII(url) else 0


cdef object pool_of(object pools, object key):
    """The pool kept under `key`, without the container's lock if it was used last."""
    if type(pools) is stock_container:
        newest = fp_read(pools, True, &of_container.newest)
        if newest is not None and (<tuple?> newest)[0] is key:
            return (<tuple> newest)[1]
    try:
        return pools[key]
    except KeyError:
        return None
