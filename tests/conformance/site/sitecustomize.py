"""Alias the module under test as urllib3 in *every* Python process of a run.

run_suite.py puts this directory first on PYTHONPATH, so this file runs at the
start of the pytest process and of every Python process a test starts.  It does
nothing unless CONFORMANCE_MODULE names a module other than urllib3.
"""

import os
import sys


def _alias():
    name = os.environ.get("CONFORMANCE_MODULE", "")
    if not name or name == "urllib3":
        return
    try:
        module = __import__(name)
        module.install_as_urllib3()
    except Exception as exc:  # site swallows nothing useful: say it and go on
        sys.stderr.write(f"conformance: could not alias {name} as urllib3: {exc!r}\n")
        if os.environ.get("CONFORMANCE_STRICT", "1") == "1":
            import traceback

            traceback.print_exc()
            os._exit(97)


_alias()
