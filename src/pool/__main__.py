"""``python -m pool``: the command line.  The commands live in `pool._cli`."""

from __future__ import annotations

from pool._cli import main

if __name__ == "__main__":
    raise SystemExit(main())
