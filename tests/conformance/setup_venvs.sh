#!/bin/sh
# Makes the two virtual environments of the harness (pinned; CPython 3.11, as the baselines).
# usage: setup_venvs.sh [DIRECTORY]     (default: the cache of run_suite.py)
set -e
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/fastpool-conformance
target=${1:-${FASTPOOL_CONFORMANCE_CACHE:-$cache}}
mkdir -p "$target"
for name in conformance conformance-ds; do
    [ -x "$target/$name/bin/pytest" ] && continue
    "${PYTHON:-python3.11}" -m venv "$target/$name"
    "$target/$name/bin/pip" install -q -r "$here/requirements-$name.txt"
done
