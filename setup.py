"""Build of the one extension module, ``pool._fastpool``.

Everything else about the package is in ``pyproject.toml``.  Switches, all environment
variables, all off by default:

* ``FASTPOOL_DEBUG=1``      no optimisation, assertions on, debug symbols
* ``FASTPOOL_SANITIZE=address,undefined``   compile and link with these sanitizers
* ``FASTPOOL_COVERAGE=1``   gcc counts the lines of the core that run (tests/coverage.py)
* ``FASTPOOL_WERROR=1``     compiler warnings are errors (CI)
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("FASTPOOL_DEBUG") == "1"
SANITIZE = os.environ.get("FASTPOOL_SANITIZE", "")
COVERAGE = os.environ.get("FASTPOOL_COVERAGE") == "1"
WERROR = os.environ.get("FASTPOOL_WERROR") == "1"


def compiler_flags() -> tuple[list[str], list[str]]:
    """Return (compile, link) flags for this platform and the switches above."""
    if sys.platform == "win32":
        compile_flags = ["/Od", "/Zi", "/W3"] if DEBUG else ["/O2", "/W3"]
        return (compile_flags + ["/WX"] * WERROR, ["ws2_32.lib"])
    compile_flags = ["-O0", "-g", "-UNDEBUG"] if DEBUG else ["-O3"]
    compile_flags += ["-std=c11", "-fno-strict-aliasing", "-Wall", "-Wno-unused-function"]
    link_flags: list[str] = []
    if WERROR:
        compile_flags.append("-Werror")
    if SANITIZE:
        compile_flags += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-g"]
        link_flags.append(f"-fsanitize={SANITIZE}")
    elif COVERAGE:
        compile_flags += ["-O0", "--coverage", "-fprofile-update=atomic"]
        link_flags += ["--coverage", "-Wl,-u,__gcov_dump"]  # tests/coverage.py calls it
    else:
        harden(compile_flags, link_flags)
        if not DEBUG and links_with_gnu():
            compile_flags.append("-ffunction-sections")
            link_flags.append("-Wl,-T,src/_fastpool/layout.ld")
    return compile_flags, link_flags


def links_with_gnu() -> bool:
    """Whether the linker is GNU's, the one that layout.ld is written for."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    try:
        asked = subprocess.run(
            [*compiler, "-Wl,--version"], capture_output=True, text=True, check=False
        )
    except OSError:
        return False
    return asked.stdout.startswith("GNU ld")


def harden(compile_flags: list[str], link_flags: list[str]) -> None:
    """The usual flags of distributions (tests/unit/test_hardening.py looks at the result)."""
    compile_flags.append("-fstack-protector-strong")
    if not DEBUG:  # needs the optimiser
        compile_flags += ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"]
    if sys.platform == "linux":
        # Bound when loaded (-z now), so nothing is gained by a jump in between.
        compile_flags.append("-fno-plt")
        link_flags += ["-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"]


def flags_note(flags: str) -> str:
    """Return a file that is newer than all objects when the last build here used other flags.

    Without it a plain build after a sanitizer build would keep the sanitized objects.
    """
    note = Path("build", "flags.txt")
    if not note.exists() or note.read_text() != flags:
        note.parent.mkdir(exist_ok=True)
        note.write_text(flags)
    return str(note)


compile_args, link_args = compiler_flags()
PATTERNS = ("*.pxi", "*.h", "*.ld")
parts = sorted(str(part) for pattern in PATTERNS for part in Path("src").rglob(pattern))

setup(
    ext_modules=cythonize(
        [
            Extension(
                "pool._fastpool",
                ["src/_fastpool.pyx"],
                include_dirs=["src/_fastpool"],
                depends=[*parts, flags_note(f"{compile_args} {link_args}")],
                extra_compile_args=compile_args,
                extra_link_args=link_args,
            )
        ],
        # With line numbers of the parts for gcov, hence C of its own.
        build_dir="build/cython-coverage" if COVERAGE else "build/cython",
        emit_linenums=COVERAGE,
    )
)
