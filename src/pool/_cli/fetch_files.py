"""What ``fetch`` leaves behind: a file per URL, and a log with a line per URL.

A body is complete under its name or not there; a log line is written in one piece, after the
body that it is about.  So a run that was killed, at any moment, can be taken up from its log.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
import urllib.parse
from dataclasses import dataclass

SLUG_CHARACTERS = 60
EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,8}\Z")
LOG_START = b'{"url": '


@dataclass
class Entry:
    """What came of one URL: a line of the log."""

    url: str  # as it was given
    status: int | None = None
    bytes: int = 0  # of the body, decoded
    elapsed: float = 0.0  # seconds from when its turn came, with retries and redirects
    file: str | None = None  # name in the directory
    error: str | None = None  # None for success, else the kind of what went wrong
    message: str | None = None

    def json(self) -> str:
        return json.dumps(vars(self))


def file_name(url: str) -> str:
    """A name for the body of a URL: safe on every system, another one for every other URL.

    Host and path, for people; a hash, which alone tells URLs apart; the extension, if any.
    There is no dot but that of the extension: nothing is hidden, reserved, or leads elsewhere.
    """
    rest = url.partition("://")[2] or url
    path = re.split(r"[?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    found = EXTENSION.search(path) if "/" in path else None
    extension = found[0].lower() if found else ""
    stem = urllib.parse.unquote(path.removesuffix(found[0]) if found else path)
    slug = re.sub(r"[^A-Za-z0-9]+", "_", stem)[:SLUG_CHARACTERS].strip("_")
    digest = hashlib.blake2b(url.encode("utf-8", "surrogateescape"), digest_size=10).digest()
    name = base64.b32encode(digest).decode().lower()
    return f"{slug}-{name}{extension}" if slug else f"{name}{extension}"


class Directory:
    """Where bodies go."""

    def __init__(self, path: str) -> None:
        """Make the directory if need be; OSError if nothing can be written there."""
        self.path = path
        os.makedirs(path, exist_ok=True)
        probe = os.path.join(path, f".fetch-{os.getpid()}")
        with open(probe, "wb"):
            pass
        os.unlink(probe)

    def has(self, url: str) -> bool:
        return os.path.isfile(os.path.join(self.path, file_name(url)))

    def write(self, url: str, body: bytes) -> str:
        """Store a body; return its file's name.  OSError leaves what was there before."""
        name = file_name(url)
        target = os.path.join(self.path, name)
        unfinished = target + ".part"
        try:
            with open(unfinished, "wb") as file:
                file.write(body)
            os.replace(unfinished, target)
        except OSError:
            if os.path.exists(unfinished):
                os.unlink(unfinished)
            raise
        return name


class Log:
    """The log of a run and of those before it; each line is on its way to the disk at once."""

    def __init__(self, path: str) -> None:
        """Open or make it.  OSError; ValueError when the file is no log of ours."""
        #: URLs that were fetched by earlier runs.
        self.succeeded: set[str] = set()
        # SIM115: the file lives as long as this object.
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115
        try:
            if stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                self._take_up(path)
        except BaseException:
            self._file.close()
            raise

    def _take_up(self, path: str) -> None:
        """Read what is there, and cut off the last line if it was not written to its end."""
        good = 0
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                entry = _parse(line)
                if entry is None and line.endswith(b"\n"):
                    raise ValueError(f"{path}, line {number}: not a line of a log of fetch")
                if entry is None:
                    if not (line.startswith(LOG_START) or LOG_START.startswith(line)):
                        raise ValueError(f"{path}: not a log of fetch")
                    break
                good += len(line)
                if entry["error"] is None:
                    self.succeeded.add(entry["url"])
        if good < os.path.getsize(path):
            self._file.truncate(good)

    def write(self, entry: Entry) -> None:
        """OSError when the line could not be written; the next run cuts off what was."""
        rest = memoryview(entry.json().encode() + b"\n")
        while rest:
            rest = rest[self._file.write(rest) or 0 :]


def _parse(line: bytes) -> dict[str, str] | None:
    """The entry of a complete line."""
    try:
        entry = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    ours = isinstance(entry, dict) and isinstance(entry.get("url"), str) and "error" in entry
    return entry if ours else None
