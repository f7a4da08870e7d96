"""``python -m pool run``: run a program that is not ours with this package as urllib3."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Sequence

USAGE = "%(prog)s script.py [args ...]\n       %(prog)s -m module [args ...]"
DESCRIPTION = (
    "Run a Python script or module with fastpool installed as urllib3. Everything after the "
    "script or module goes to it. Python processes that the program starts are not aliased."
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "run",
        help="run a script or module with fastpool as urllib3",
        usage=USAGE,
        description=DESCRIPTION,
        # The program's options are not ours: with no option prefix of our own, argparse
        # hands over `-m`, `-h` and all the rest untouched.
        prefix_chars="\0",
        add_help=False,
    )
    parser.add_argument("program", nargs=argparse.REMAINDER, help="a script, or -m and a module")
    parser.set_defaults(run=run, run_parser=parser)


def run(args: argparse.Namespace) -> int:
    """Run ``args.program`` as ``__main__``; its exceptions and exit status are its own."""
    program: list[str] = args.program
    parser: argparse.ArgumentParser = args.run_parser
    if program[:1] in (["-h"], ["--help"]):
        parser.print_help()
        return 0
    if not program or program == ["-m"]:
        parser.error("nothing to run: give a script or -m module")
    if program[0].startswith("-") and program[0] != "-m":
        parser.error(f"unknown option {program[0]!r} before the script or -m module")
    _install(parser)
    if program[0] == "-m":
        _run_module(program[1], program[2:])
    else:
        _run_script(program[0], program[1:])
    return 0


def _install(parser: argparse.ArgumentParser) -> None:
    from .._alias import AliasError, install_as_urllib3

    try:
        install_as_urllib3()
    except AliasError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


def _run_module(module: str, rest: Sequence[str]) -> None:
    # `python -m pool` has put the current directory first on sys.path already; runpy puts
    # the module's file into argv[0].
    sys.argv[:] = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _run_script(script: str, rest: Sequence[str]) -> None:
    # As `python script.py`: the script's directory instead of the current one.  For a
    # directory or a zip file with a __main__.py, runpy adds the entry itself.
    if os.path.isfile(script) and not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.path.dirname(os.path.abspath(script))
    sys.argv[:] = [script, *rest]
    runpy.run_path(script, run_name="__main__")
