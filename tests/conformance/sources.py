"""Gets a suite's sdist with pip, checks its hash, and unpacks what the run needs."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any


def get_sdist(spec: dict[str, Any], python: Path, directory: Path) -> Path:
    """The pinned sdist in `directory`, downloaded unless it is there."""
    directory.mkdir(parents=True, exist_ok=True)
    found = _find(spec, directory)
    if found is not None:
        return found
    dist, version = spec["dist"], spec["version"]
    command = [str(python), "-m", "pip", "download", "-q", "--no-deps", "--no-binary", dist]
    done = subprocess.run(
        [*command, f"{dist}=={version}", "-d", str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    found = _find(spec, directory)
    if found is None:
        raise SystemExit(
            f"{dist} {version}: no sdist with the pinned sha256 (pip's exit status "
            f"{done.returncode})\n{done.stdout[-2000:]}"
        )
    return found


def _find(spec: dict[str, Any], directory: Path) -> Path | None:
    for path in directory.glob("*.tar.gz"):
        if hashlib.sha256(path.read_bytes()).hexdigest() == spec["sha256"]:
            return path
    return None


def unpack(spec: dict[str, Any], sdist: Path, directory: Path) -> Path:
    """A fresh source tree without the package itself; returns its top."""
    root = directory / "src"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    with tarfile.open(sdist) as archive:
        # The filter is there from 3.10.12 and 3.11.4 on; the hash was checked either way.
        options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(root, **options)
    (top,) = [path for path in root.iterdir() if path.is_dir()]
    for name in spec.get("remove", ()):
        shutil.rmtree(top / name, ignore_errors=True)
    for name, text in spec.get("write", {}).items():
        (top / name).write_text(text)
    return top
