"""What a reader must know about the machine to judge a figure."""

from __future__ import annotations

import os
import platform
import ssl
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.server import nginx


def machine(cpu: int | None) -> dict[str, Any]:
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "processor": processor(),
        "processors": os.cpu_count(),
        "pinned_to": cpu,
        "load_1_min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "openssl": ssl.OPENSSL_VERSION,
        "nginx": nginx_version(),
    }


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(": ")[2]
    return platform.processor()


def nginx_version() -> str | None:
    program = nginx.find_program()
    if program is None:
        return None
    said = subprocess.run([program, "-v"], capture_output=True, text=True).stderr
    return said.strip().rpartition("/")[2]
