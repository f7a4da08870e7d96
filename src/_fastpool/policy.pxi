# Layer 5: what a policy for retries wants, as far as that is known without asking it.  Owns what
# was found out about the class Retry and about the policy that was looked at last.  Calls
# verdicts and response.

from cpython.set cimport PySet_GET_SIZE

cdef object Retry = None                # pool.util.retry.Retry
cdef object stock_is_retry = None       # its is_retry(), as it was
cdef tuple HOOKS_OF_RETRY = ("is_retry", "RETRY_AFTER_STATUS_CODES")

cdef enum:
    FIRST_ERROR = 400                   # lowest status that a stock policy may repeat

# Of the policy that was found simple last; see is_simple().
cdef uint64_t simple_version = 0        # of its attributes
cdef unsigned int simple_tag = 0        # of its class
cdef object simple_forcelist = None     # its own, a set that was empty


def examine_retry(cls):
    """The statuses after which a policy heeds Retry-After, as a TypeSnapshot; None where
    is_retry() is not the one that we know."""
    known = getattr(cls, "is_retry", None) is stock_is_retry
    return TypeSnapshot((cls,), cls.RETRY_AFTER_STATUS_CODES if known else None)


cdef Verdicts policies = Verdicts(examine_retry)


cdef inline bint is_simple(object retries) except -1:
    """Nothing has happened to a policy yet, nobody has hooked it, and no status below
    FIRST_ERROR is one that it would repeat; False, too, where nothing can be remembered."""
    cdef uint64_t version = fp_own_version(retries)
    if version and version == simple_version and fp_version_of(retries) == simple_tag:
        return PySet_GET_SIZE(simple_forcelist) == 0
    return look_simple(retries)


cdef bint look_simple(object retries) except -1:
    """is_simple(), for a policy that is not the last one, or not as it was."""
    global simple_version, simple_tag, simple_forcelist
    cdef dict own = fp_own(retries)
    if fp_dict_version(own) == 0:
        return False
    known = verdict_on(policies, retries)
    forcelist = own.get("status_forcelist")
    if type(known) is not frozenset or type(forcelist) is not set or forcelist:
        return False
    if own.get("history") != () or has_any(own, HOOKS_OF_RETRY):
        return False
    if any([status < FIRST_ERROR for status in known]):
        return False
    simple_version = 0          # until all three are of this policy
    simple_forcelist = forcelist
    simple_tag = fp_version_of(retries)
    if simple_tag:
        simple_version = fp_dict_version(own)
    return True


cdef inline bint is_final(object retries, object response) except -1:
    """Whether a policy lets a response be, as far as known without asking it."""
    return 0 <= code_of(response) < FIRST_ERROR and is_simple(retries)


cpdef bint may_retry_status(retries, method, response) except -1:
    """Whether a policy for retries wants a response's status to be tried again."""
    if is_final(retries, response):
        return False
    status = response.status
    known = verdict_on(policies, retries)
    if known is not None and not has_any(fp_own(retries), HOOKS_OF_RETRY):
        forced = fp_attribute(fp_own(retries), retries, "status_forcelist")
        # Without a look at the headers, which would have to be built.
        if status not in known and (not forced or status not in forced):
            return False
    return retries.is_retry(method, status, bool(response.headers.get("Retry-After")))
