"""wrk, the load generator in C: one thread, one URL, nothing looked at.  The ceiling."""

from __future__ import annotations

import re
import shutil
import subprocess

from benchmarks.peers import Check, Paths, Settings

PROGRAM = shutil.which("wrk")
if PROGRAM is None:
    raise ImportError("the program wrk is not installed")
label = "wrk " + re.findall(r"[\d.]+", subprocess.run([PROGRAM, "-v"], capture_output=True,
                                                      text=True).stdout)[0]  # fmt: skip
SECONDS = 1  # the least that wrk measures
FOUND = re.compile(r"(\d+) requests in ([\d.]+)s")


class Client:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def get_all(self, paths: Paths, check: Check) -> tuple[int, float]:
        path = next(iter(paths))
        command = [str(PROGRAM), "-t1", f"-c{self.settings.concurrency}", f"-d{SECONDS}s"]
        for name, value in self.settings.headers.items():
            command += ["-H", f"{name}: {value}"]
        command.append(self.settings.base_url + path)
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = FOUND.search(output)
        if found is None or "Non-2xx" in output or "Socket errors" in output:
            raise RuntimeError(f"wrk: {output}")
        return int(found[1]), float(found[2])
