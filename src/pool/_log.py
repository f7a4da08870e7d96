"""`logging`, with the handler that keeps the package quiet where no other is configured.

Every module of ours that logs imports `logging` from here.
"""

from __future__ import annotations

import logging as logging

# The name under which programs, filters and agents know this interface.
LOGGER = "urllib3"

logging.getLogger(LOGGER).addHandler(logging.NullHandler())
