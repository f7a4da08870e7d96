"""A progress bar on a terminal, plain lines elsewhere (logs, pipes)."""

from __future__ import annotations

import time
from typing import TextIO

BAR_WIDTH = 30
REDRAW_SECONDS = 0.1
LOG_SECONDS = 5.0


class Progress:
    """Shows how much of `total` is done.  One thread calls it; others may do the work."""

    def __init__(self, label: str, stream: TextIO) -> None:
        self.label = label
        self.stream = stream
        self.live = stream.isatty()
        self._interval = REDRAW_SECONDS if self.live else LOG_SECONDS
        self._next = time.monotonic() + (0 if self.live else LOG_SECONDS)
        self._width = 0

    def update(self, fraction: float, note: str) -> None:
        """Show that `fraction` (0 to 1) is done, unless something was shown just now."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._interval
            self._show(fraction, note)

    def finish(self, fraction: float, note: str) -> None:
        """Show `fraction` for good and leave the line."""
        self._show(fraction, note)
        if self.live:
            self.stream.write("\n")
            self.stream.flush()
        self._width = 0

    def _show(self, fraction: float, note: str) -> None:
        fraction = min(max(fraction, 0.0), 1.0)
        if not self.live:
            print(f"{self.label}: {fraction:4.0%} {note}", file=self.stream, flush=True)
            return
        bar = "#" * round(fraction * BAR_WIDTH)
        line = f"{self.label} [{bar:.<{BAR_WIDTH}}] {fraction:4.0%} {note}"
        # A shorter line must cover what is left of a longer one.
        self.stream.write("\r" + line.ljust(self._width))
        self.stream.flush()
        self._width = len(line)
