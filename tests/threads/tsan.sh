#!/bin/sh
# The slot array's native stress under ThreadSanitizer (gcc, Linux); exit status 66: a data race.
#
#     tests/threads/tsan.sh [PYTHON]
#
# Builds the package into a temporary directory.  The interpreter itself is not instrumented:
# the native threads run on our code alone, and the sanitizer knows the locks that they use.
# For a race on the Python side build an interpreter --with-thread-sanitizer and run pytest.
set -eu
python=$(command -v "${1:-python3}")
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$root"
FASTPOOL_SANITIZE=thread "$python" setup.py -q build --build-base "$work" --build-lib "$work/lib"

# The sanitizer's address layout does not survive full randomisation on newer kernels.
fixed_addresses="setarch $(uname -m) -R"
$fixed_addresses true 2>/dev/null || fixed_addresses=""
PYTHONPATH="$work/lib" \
FASTPOOL_STRESS_OPERATIONS="${FASTPOOL_STRESS_OPERATIONS:-400000}" \
TSAN_OPTIONS="exitcode=66 history_size=4" \
LD_PRELOAD="$(gcc -print-file-name=libtsan.so)" \
    $fixed_addresses "$python" -m pytest -q -p no:cacheprovider -o timeout=900 -s \
    tests/threads/test_slot_stress.py -k native
