# Layer 5: what a consumer iterates over.  Owns class Results, which owns a Run: it ends the run
# when it is dropped, although the run and its policy refer to each other.  Calls run.

@cython.final
cdef class Results:
    """The iterator over a run's results; dropped, or left by `with`, it ends the run."""

    cdef Run run
    cdef bint raises

    def __init__(self, Run run not None, bint raises):
        self.run = run
        self.raises = raises

    def __iter__(self):
        return self

    def __next__(self):
        cdef Result r = self.run.next_result()
        if r is None:
            raise StopIteration
        if self.raises and r.error is not None:
            self.run.close()
            raise r.error
        return r

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.run.close()

    @property
    def in_flight(self):
        """Requests under way now, those that pause before a retry not counted."""
        return self.run.in_flight

    def poke(self):
        """Ask the input again, which said "nothing yet", without waiting for a result.

        From any thread; next() of the input is called by the consumer's as ever.
        """
        self.run.poke()

    def close(self):
        """Cancel what is in flight and give the connections back.  Idempotent."""
        self.run.close()

    def __del__(self):
        self.run.close()
