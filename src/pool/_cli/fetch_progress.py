"""How far ``fetch`` is: one line that stays on a terminal, a line now and then elsewhere.

A thread of its own shows it, since the one that fetches may wait long for an answer.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from pool._cli.fetch_input import Input
    from pool._fastpool import Results

REDRAW_SECONDS = 0.25
LOG_SECONDS = 10.0
WINDOW_SECONDS = 5.0  # rates are those of the last seconds
KINDS_SHOWN = 3


@dataclass
class Tally:
    """What was done; only the fetching thread writes to it."""

    taken: int = 0  # URLs of the input that were not fetched by an earlier run
    finished: int = 0
    bytes: int = 0
    earlier: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    start: float = field(default_factory=time.monotonic)

    @property
    def failed(self) -> int:
        return sum(self.errors.copy().values())

    def elapsed(self) -> float:
        return time.monotonic() - self.start

    def kinds(self) -> str:
        """The errors by kind, the most frequent first: "3 status 404, 1 ReadTimeoutError"."""
        common = self.errors.copy().most_common()
        shown = [f"{count:,} {kind}" for kind, count in common[:KINDS_SHOWN]]
        others = sum(count for _, count in common[KINDS_SHOWN:])
        return ", ".join([*shown, f"{others:,} others"] if others else shown)

    def summary(self) -> str:
        seconds = max(self.elapsed(), 1e-9)
        parts = [f"{self.finished - self.failed:,} fetched"]
        if self.earlier:
            parts.append(f"{self.earlier:,} fetched before")
        if self.failed:
            parts.append(f"{self.failed:,} failed ({self.kinds()})")
        return (
            f"{', '.join(parts)}; {self.bytes / 1e6:,.1f} MB in {seconds:,.1f} s, "
            f"{self.finished / seconds:,.0f} requests/s"
        )


class Rates:
    """Requests and bytes per second of late."""

    def __init__(self) -> None:
        self._samples = deque([(0.0, 0, 0)])

    def update(self, tally: Tally) -> tuple[float, float]:
        now = (tally.elapsed(), tally.finished, tally.bytes)
        while len(self._samples) > 1 and now[0] - self._samples[1][0] > WINDOW_SECONDS:
            self._samples.popleft()
        first = self._samples[0]
        seconds = max(now[0] - first[0], 1e-9)
        self._samples.append(now)
        return (now[1] - first[1]) / seconds, (now[2] - first[2]) / seconds


class Status:
    """Shows a tally until it is closed."""

    def __init__(self, tally: Tally, stream: TextIO, results: Results, source: Input) -> None:
        self.live = stream.isatty()
        self._tally = tally
        self._stream = stream
        self._results = results
        self._input = source
        self._rates = Rates()
        self._lock = threading.Lock()  # around what is written to the stream
        self._drawn = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True, name="fetch-status")
        self._thread.start()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """The line is off the terminal, which something else is written to meanwhile."""
        # Race: a redraw between the two would stand in the middle of what is written.
        with self._lock:
            if self._drawn:
                self._drawn = False
                self._stream.write("\r\x1b[K")
                self._stream.flush()
            yield

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def line(self) -> str:
        tally = self._tally
        requests, size = self._rates.update(tally)
        parts = [
            f"{tally.finished:,} done",
            f"{requests:,.0f} requests/s",
            f"{size / 1e6:,.1f} MB/s",
            f"{self._results.in_flight:,} in flight",
        ]
        if tally.errors:
            parts.append(f"errors: {tally.kinds()}")
        seen, fraction = tally.taken + tally.earlier, self._input.fraction
        if fraction is not None and seen:
            ours = fraction * tally.finished / seen  # what this run has fetched of the input
            done = ours + fraction * tally.earlier / seen
            parts[0] += f" ({done:.0%})"
            if ours > 0:
                parts.append(f"{clock(tally.elapsed() * (1 - done) / ours)} left")
        return "fetch: " + "  ".join(parts)

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except OSError:
            return 80

    def _show(self) -> None:
        try:
            while not self._stop.wait(REDRAW_SECONDS if self.live else LOG_SECONDS):
                line = self.line()
                if self.live:
                    line = f"\r{line[: self._width() - 1]}\x1b[K"
                with self._lock:
                    self._drawn = self.live
                    self._stream.write(line if self.live else line + "\n")
                    self._stream.flush()
            with self.aside():
                pass
        except OSError:  # nobody reads it any more; whoever writes the results will see
            pass


def clock(seconds: float) -> str:
    """As 1:02:03, or 2:03 below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
