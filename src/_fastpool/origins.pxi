# Layer 5: which pool serves a URL.  Owns the map from origins ("http://host:port") to the
# manager's pool keys: it saves parsing the URL and building the key.  It knows keys, not
# pools, because the pools of a manager may be cleared and replaced at any time; what a key
# depends on is compared at each use.  Calls url and transact.

cdef enum:
    MOST_ORIGINS = 16384    # entries; all are forgotten when there are more

cdef object stock_container = None      # RecentlyUsedContainer
cdef tuple LOOKUP = (
    "connection_from_host", "connection_from_context", "connection_from_pool_key",
    "_merge_pool_kwargs",
)


def bind_container(container):
    """Tell the core what keeps a manager's pools."""
    global stock_container
    stock_container = container


cdef bint looks_up_plainly(object manager) except -1:
    """Nobody overrode or replaced how this manager finds its pools."""
    cdef str name
    for name in LOOKUP:
        if not has_stock(manager, name):
            return False
    return True


@cython.final
cdef class Origins:
    """The pool keys of a manager, by origin."""

    # origin -> (scheme, make_key, key, the manager's pool keywords behind it); bound once, and
    # an entry is one tuple: without the GIL no thread sees a half of one.
    cdef dict keys
    cdef dict latest            # None -> the keywords last learned, shared by the entries

    def __cinit__(self):
        self.keys = {}
        self.latest = {}

    def find(self, manager, str url not None):
        """(pool, request target, whether its urlopen() is ours) for a URL in normal form whose
        key is known, else None."""
        cdef tuple entry
        cdef size_t size = plain_origin(url)
        if size == 0:
            return None
        entry = fp_dict_get(self.keys, url[:size])
        if entry is None or manager.connection_pool_kw != entry[3]:
            return None
        if key_function(manager, entry[0]) is not entry[1] or not looks_up_plainly(manager):
            return None
        pool = pool_of(manager.pools, entry[2])
        if pool is None:
            return None
        return pool, url[size:] or "/", has_stock(pool, "urlopen")

    def learn(self, manager, str url not None, str scheme not None, key, dict settings not None):
        """Note the key of the pool that serves `url`; `settings` are not changed any more."""
        cdef size_t size = plain_origin(url)
        make_key = key_function(manager, scheme)
        if size == 0 or make_key is None or not looks_up_plainly(manager):
            return
        known = fp_dict_get(self.latest, None)
        if known == settings:
            settings = known
        else:
            self.latest[None] = settings
        if len(self.keys) >= MOST_ORIGINS:
            self.keys.clear()
        self.keys[url[:size]] = (scheme, make_key, key, settings)


cdef size_t plain_origin(str url) except? 0:
    return url_plain_origin(text_of(url)) if PyUnicode_IS_ASCII(url) else 0


cdef object key_function(object manager, object scheme):
    functions = manager.key_fn_by_scheme
    return fp_dict_get(<dict> functions, scheme) if type(functions) is dict else None


cdef object pool_of(object pools, object key):
    """The pool kept under `key`, without the container's lock if it was used last."""
    if type(pools) is stock_container:
        newest = pools._newest
        if newest is not None and (<tuple?> newest)[0] is key:
            return (<tuple> newest)[1]
    try:
        return pools[key]
    except KeyError:
        return None
