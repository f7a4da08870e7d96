"""Every recipe of docs/ runs as it stands, in a process of its own, against real servers."""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, Block, blocks
from tests.docs.s3 import s3_server
from tests.support import programs
from tests.support.scripted import ScriptedServer, reply

PAGES = ("requests.md", "botocore.md", "any-other-package.md", "bulk.md")
PYTHON = [block for page in PAGES for block in blocks(page, "python")]
PLAYED = [
    pytest.param(block, id=block.name, marks=[pytest.mark.green] * ("gevent" in block.imports))
    for block in PYTHON
]
CONSOLE = [block for page in PAGES for block in blocks(page, "console")]

LIMIT_SECONDS = 45

_keys = itertools.count(1)


def linked_site(peer: Any) -> None:
    """Pages 1 to 29 that link to each other, and the root."""
    while True:
        number = int(peer.receive().target.strip("/") or 0)
        links = [2 * number + 1, 2 * number + 2]
        page = "".join(f'<a href="/{link}">next</a>' for link in links if link < 30)
        peer.send(reply(page.encode()))


@pytest.fixture(scope="module")
def addresses(echo: Any, certificates: Any) -> Iterator[dict[str, str]]:
    """What the recipes take from the environment."""
    context = certificates.server.server_context()
    with (
        s3_server() as s3,
        ScriptedServer(context=context) as tls,
        ScriptedServer([[linked_site]]) as site,
    ):
        yield {
            "URL": echo.url("/echo", token="recipe"),
            "LARGE_URL": echo.url("/chunks", n=1000, size=10_000),
            "SLOW_URL": echo.url("/slow", seconds=0.1),
            "HTTPS_URL": tls.url("/?token=recipe"),
            "CA_FILE": str(certificates.ca),
            "SITE_URL": site.url("/"),
            "S3_URL": s3.url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def environment(addresses: dict[str, str], echo: Any) -> dict[str, str]:
    import pool

    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith(("AWS_", "REQUESTS_"))
    }
    source = str(Path(pool.__file__).parents[1])
    path = os.pathsep.join(filter(None, (source, inherited.get("PYTHONPATH", ""))))
    flaky = echo.url("/flaky", key=f"recipe{next(_keys)}", times=1)
    return {**inherited, **addresses, "FLAKY_URL": flaky, "PYTHONPATH": path}


def run(command: list[str], directory: Path, env: dict[str, str]) -> list[str]:
    done = subprocess.run(
        command, cwd=directory, env=env, capture_output=True, text=True, timeout=LIMIT_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def need(block: Block) -> None:
    if "os.fork" in block.text and not hasattr(os, "fork"):
        pytest.skip("no fork here")
    for name in sorted(block.imports):
        if importlib.util.find_spec(name) is None and name != "script":
            programs.lacking(name)


@pytest.mark.parametrize("block", PLAYED)
def test_python_recipe(block: Block, addresses: dict[str, str], echo: Any, tmp_path: Path) -> None:
    need(block)
    # In a file: the spawn method of multiprocessing looks for the program.
    (tmp_path / "recipe.py").write_text(block.text)
    printed = run([sys.executable, "recipe.py"], tmp_path, environment(addresses, echo))
    if block.saved_as is None:
        assert block.printed, "a recipe that shows nothing proves nothing"
        assert printed == block.printed


SCRIPT = "import urllib3\nprint(urllib3.__name__)\n"


@pytest.mark.parametrize("block", CONSOLE, ids=lambda block: block.name)
def test_console_recipe(block: Block, addresses: dict[str, str], echo: Any, tmp_path: Path) -> None:
    """`script.py` is the page's own or prints the name of what it imports as urllib3; `fetch`
    finds a list of URLs and is quiet."""
    saved = [other for other in PYTHON if other.page == block.page and other.saved_as]
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "module.py").write_text(SCRIPT)
    (tmp_path / "urls.txt").write_text("\n".join(f"{addresses['URL']}&n={n}" for n in range(50)))
    for other in saved:
        (tmp_path / str(other.saved_as)).write_text(other.text)
    for words, expected in block.commands:
        assert words[:3] == ["python", "-m", "pool"]
        printed = run([sys.executable, *words[1:]], tmp_path, environment(addresses, echo))
        assert printed == (expected or (["pool"] if words[3] == "run" else []))
    if block.page == "bulk.md":  # its second command found nothing to do
        assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 50
        assert len(list((tmp_path / "pages").iterdir())) == 50


def test_every_page_has_recipes() -> None:
    for page in PAGES:
        assert blocks(page, "python"), page
        assert blocks(page, "console"), page


def test_every_page_is_listed_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    missing = [
        path.name for path in (ROOT / "docs").glob("*.md") if f"docs/{path.name}" not in readme
    ]
    assert not missing
