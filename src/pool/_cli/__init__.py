"""The command line: one module per command.

A command module has two names: ``add_parser(commands)`` describes its arguments, and the
function that it sets as ``run`` does the work and returns the exit status.  Nothing here is
imported by ``import pool``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from pool._cli import bench, demo, fetch, get, run

__all__ = ["main"]

EXIT_INTERRUPTED = 130  # what shells report for SIGINT


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pool",
        description="fastpool: HTTP requests over a compiled connection pool.",
        epilog="Each command has its own --help.",
    )
    commands = parser.add_subparsers(title="commands", dest="command", required=True)
    for command in (get, fetch, bench, demo, run):
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0, 1 for a failure, 2 for wrong arguments."""
    args = build_parser().parse_args(argv)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone.  Point stdout elsewhere, or the
        # interpreter fails again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status
