# Layer 1.  Owns the count of forks between the first process and this one.
# Contract: whoever keeps something that must not cross a fork keeps this number beside it and
# compares at the next use; a pid would be ambiguous after it has been recycled.
# Calls atomics only.

cdef uint32_t fork_count = 0    # written only by the hook below, in a child with one thread


cdef inline uint32_t fork_generation_now() noexcept nogil:
    return fp_load_relaxed_u32(&fork_count)


def fork_generation() -> int:
    """Number of forks that lie between the first process and this one."""
    return fork_generation_now()


def _after_fork_in_child() -> None:
    """Hook for ``os.register_at_fork``: everything from before the fork is now foreign."""
    fp_add_u32(&fork_count, 1)


try:
    from os import register_at_fork
except ImportError:
    pass    # Windows has no fork
else:
    register_at_fork(after_in_child=_after_fork_in_child)
