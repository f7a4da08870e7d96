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
    OUR_ENCODING = 256      # of request(): what becomes of fields
    HAS_MEMBERS = 512       # of either: see places
    NO_PROXY = 1024         # of a manager's object, as far as known without a look
    OUR_REQUEST = 2048      # RequestMethods.request(), which PoolManager's stands for

cdef dict bit_of = {
    "urlopen": OUR_URLOPEN,
    "get_conn": OUR_GET_CONN,
    "put_conn": OUR_PUT_CONN,
    "make_request": OUR_MAKE_REQUEST,
    "validate_conn": OUR_VALIDATE_CONN,
    "validate_tls": OUR_VALIDATE_TLS,
    "sending": OUR_SENDING,
    "lookup": OUR_LOOKUP,
    "encoding": OUR_ENCODING,
    "request": OUR_REQUEST,
}
cdef list our_methods = []      # (bit, name -> function)
cdef tuple hookable = ()        # all those names
cdef dict our_codes = {}        # function -> its code object, which agents exchange
cdef set url_methods = set()    # RequestMethods._encode_url_methods, a set that may be changed
cdef frozenset usual_url_methods = frozenset()  # as it was: asked without a lock


def bind_methods(str bit not None, *functions, **others):
    """Tell the core the methods, and other attributes, that make up one of the OUR_ bits."""
    global hookable, url_methods, usual_url_methods
    url_methods = others.get("_encode_url_methods", url_methods)
    usual_url_methods = frozenset(url_methods)
    named = {**{function.__name__: function for function in functions}, **others}
    our_codes.update({function: function.__code__ for function in functions})
    our_methods.append((bit_of[bit], named))
    hookable = tuple({*hookable, *named})


def examine_manager(cls):
    """The OUR_ bits of a class of managers, as a TypeSnapshot."""
    return examine_owner(cls, HAS_MEMBERS if has_members(cls, MANAGER_MEMBERS) else 0)


def examine_pool(cls):
    """The OUR_ bits of a class of pools, as a TypeSnapshot."""
    return examine_owner(cls, HAS_MEMBERS if has_members(cls, POOL_MEMBERS) else 0)


def examine_members(cls):
    """Whether connections of a class can be read by place, as a TypeSnapshot."""
    return TypeSnapshot((cls,), has_members(cls, CONNECTION_MEMBERS))


cdef TypeSnapshot examine_owner(object cls, int bits):
    for bit, functions in our_methods:
        if all([is_ours(cls, name, function) for name, function in functions.items()]):
            bits |= bit
    return TypeSnapshot((cls,), bits)


cdef bint is_ours(object cls, str name, object function) except -1:
    """Whether `cls.name` is `function`, and runs what it ran at first: agents rewrite the code
    of functions, of which a type knows nothing.  They do it when a module is imported, so it is
    looked at when a class is examined and not again."""
    found = getattr(cls, name, None)
    if found is compiled_request:
        found = method_behind(cls, name, found)
    code = getattr(found, "__code__", None)     # url_methods has none
    return found is function and (code is None or code is our_codes[found])


cdef object compiled_request = None     # PoolManager.request


def bind_compiled_request(function):
    """Tell the core its own request(), as PoolManager has it."""
    global compiled_request
    function.__module__ = "pool.poolmanager"
    function.__qualname__ = "PoolManager.request"
    compiled_request = function


cpdef object method_behind(object cls, str name, object ours):
    """What `cls.name` would be, were it not `ours`; None when it would not be."""
    for base in cls.__mro__:
        found = base.__dict__.get(name, ours)
        if found is not ours:
            return found
    return None


cdef Verdicts managers = Verdicts(examine_manager)
cdef Verdicts pools = Verdicts(examine_pool)


@cython.final
cdef class OwnNames:
    """The own attributes of a pool or a manager when there was no hook among them: its member
    `unhooked`.  They are looked through again only when they have become more or fewer."""

    cdef Py_ssize_t count
    cdef uint64_t version       # of the dict when `bits` were found; 0: dicts have none
    cdef int bits               # NO_PROXY, or 0

    cdef bint are(self, dict own) except -1:
        """Whether `own` has none, though it is not as it was."""
        cdef uint64_t version = fp_dict_version(own)
        if self.count != PyDict_Size(own):
            return False
        if version:
            # Where it has none of its own, its class may have one.
            self.bits = NO_PROXY if own.get("proxy", own) is None else 0
            self.version = version
        return True


cdef OwnNames own_names(dict own):
    cdef OwnNames names = OwnNames.__new__(OwnNames)
    names.count = PyDict_Size(own)
    return names


cdef inline int ours(Verdicts owners, object owner, const fp_member *unhooked) except -1:
    """The OUR_ bits of a pool or a manager."""
    cdef uint64_t version
    cdef int bits = bits_on(owners, owner)
    if bits & HAS_MEMBERS:
        version = fp_own_version(owner)
        known = fp_peek(owner, unhooked)
        if version and type(known) is OwnNames and version == (<OwnNames> known).version:
            return bits | (<OwnNames> known).bits
    return look_for_hooks(owner, bits, unhooked)


cdef int look_for_hooks(object owner, int bits, const fp_member *unhooked) except -1:
    """ours(), for an owner whose class says `bits`, and whose attributes are not as they were."""
    cdef dict own
    if bits & ~HAS_MEMBERS == 0:
        return bits
    own = fp_own(owner)
    if not bits & HAS_MEMBERS:
        return unhooked_of(own, bits)
    known = fp_peek(owner, unhooked)
    if type(known) is OwnNames and (<OwnNames> known).are(own):
        return bits | (<OwnNames> known).bits
    if not has_any(own, hookable):
        fp_write(owner, True, unhooked, own_names(own))
        return bits
    return unhooked_of(own, bits)


# Connections by the class: do they have the members?
cdef Verdicts connections = Verdicts(examine_members)


cdef inline bint has_place(object conn) except -1:
    """Whether a connection's members can be read by place."""
    return bits_on(connections, conn)


cdef inline bint is_pool_with_place(object pool) except -1:
    """Whether a pool's members can be read by place."""
    return bits_on(pools, pool) & HAS_MEMBERS != 0


cdef inline int ours_of_manager(object manager) except -1:
    return ours(managers, manager, &of_manager.unhooked)


cdef inline int ours_of_pool(object pool) except -1:
    return ours(pools, pool, &of_pool.unhooked)


cdef int unhooked_of(dict own, int bits) except -1:
    """`bits` without those of methods that are set on the object, whose attributes are `own`."""
    for bit, functions in our_methods:
        if has_any(own, tuple(functions)):
            bits &= ~(<int> bit)
    return bits
