"""Parts of the work, measured without a client's loop: each function is one contender.

``function(settings)`` returns ``run(count)``; LABELS names it in the tables.  A run that measures
by itself returns (count, amount): seconds for time, bytes for memory, or a plain ratio.
"""
