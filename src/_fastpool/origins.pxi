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
    return ours(manager, fp_own(manager)) & OUR_LOOKUP != 0


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
        """(pool, request target) for a URL in normal form whose key is known, else None."""
        cdef dict own = fp_own(manager)
        return self.look_up(manager, own, ours(manager, own), url)

    cdef tuple look_up(self, object manager, dict own, int bits, str url):
        """find() for a manager with these attributes of its own, and these OUR_ bits."""
        cdef tuple entry
        cdef size_t size = plain_origin(url) if bits & OUR_LOOKUP else 0
        if size == 0:
            return None
        entry = fp_dict_get(self.keys, url[:size])
        if entry is None or fp_attribute(own, manager, "connection_pool_kw") != entry[3]:
            return None
        functions = fp_attribute(own, manager, "key_fn_by_scheme")
        if type(functions) is not dict or fp_dict_get(functions, entry[0]) is not entry[1]:
            return None
        pool = pool_of(fp_attribute(own, manager, "pools"), entry[2])
        return None if pool is None else (pool, url[size:] or "/")

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
        self.keys[url[:size]] = (scheme, functions[scheme], key, settings)


cdef size_t plain_origin(str url) except? 0:
    return url_plain_origin(text_of(url)) if PyUnicode_IS_ASCII(url) else 0


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
