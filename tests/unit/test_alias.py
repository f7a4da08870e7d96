"""The alias: every name of urllib3 is ours while it is on, and nothing is left afterwards.

Each scenario is a program run in a process of its own, because the alias changes what
``import urllib3`` means.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support import programs

# A finder as tracing agents have it: first on sys.meta_path, asks the others for the spec,
# wraps its loader and calls back once the module is loaded.
AGENT = """
import importlib.util, sys

class ChainedLoader:
    def __init__(self, agent, loader):
        self.agent, self.loader = agent, loader

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.loader.exec_module(module)
        self.agent.fired.append(module.__name__)
        self.agent.modules.append(module)

class Agent:
    def __init__(self, *names):
        self.names, self.busy, self.fired, self.modules = names, set(), [], []

    def find_spec(self, name, path=None, target=None):
        if name not in self.names or name in self.busy:
            return None
        self.busy.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.busy.discard(name)
        if spec is not None:
            spec.loader = ChainedLoader(self, spec.loader)
        return spec
"""


def python(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    import pool

    inherited = os.environ.get("PYTHONPATH", "")
    path = os.pathsep.join(filter(None, (str(Path(pool.__file__).parents[1]), inherited)))
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def check(program: str, *arguments: str) -> str:
    """Run the program; its assertions are the test."""
    done = python("-W", "error", "-c", textwrap.dedent(program), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def need_module(name: str) -> None:
    # In a process of its own: an import here would show in the others' modules.
    if python("-c", f"import {name}").returncode != 0:
        programs.unavailable(f"the module {name} is not installed")


def test_imported_modules_are_the_same_objects() -> None:
    check("""
        import sys, pool
        pool.install_as_urllib3()
        import urllib3
        import urllib3.util.retry as retry
        from urllib3.connectionpool import HTTPConnectionPool
        from urllib3 import PoolManager, exceptions

        assert urllib3 is pool
        assert retry is pool.util.retry
        assert HTTPConnectionPool is pool.HTTPConnectionPool
        assert PoolManager is pool.PoolManager and exceptions is pool.exceptions
        assert urllib3.__name__ == "pool"
        assert PoolManager.__module__ == "pool.poolmanager"
    """)


def test_every_module_of_the_package_is_aliased_also_when_imported_late() -> None:
    check("""
        import importlib, pkgutil, sys, pool
        pool.install_as_urllib3()
        names = [m.name for m in pkgutil.walk_packages(pool.__path__, "urllib3.")]
        assert "urllib3.util.ssl_" in names and "urllib3.contrib.socks" in names
        for name in names:
            if name.endswith(".__main__"):
                continue
            try:
                module = importlib.import_module(name)
            except ImportError as error:  # an optional package is missing
                assert "pool" not in (error.name or ""), error
                continue
            own = "pool" + name.removeprefix("urllib3")
            assert module is sys.modules[own] and module is sys.modules[name]
            assert module.__name__ == module.__spec__.name == own
    """)


def test_real_import_loads_the_same_submodules() -> None:
    need_module("urllib3")
    program = """
        import sys
        if sys.argv[1] == "pool":
            import pool
            pool.install_as_urllib3()
        import urllib3
        print(*sorted(name for name in sys.modules if name.split(".")[0] == "urllib3"))
    """
    theirs = set(check(program, "urllib3").split())
    assert theirs <= set(check(program, "pool").split())


@pytest.mark.parametrize(
    "name", ["urllib3.packages", "urllib3.packages.six", "urllib3.exceptions.nothing"]
)
def test_absent_module_raises_under_its_urllib3_name(name: str) -> None:
    check(
        """
        import importlib, sys, pool
        pool.install_as_urllib3()
        try:
            importlib.import_module(sys.argv[1])
        except ModuleNotFoundError as error:
            assert error.name.startswith("urllib3."), error.name
            assert "'urllib3." in str(error), error
        else:
            raise AssertionError("imported")
        assert importlib.util.find_spec("urllib3.packages") is None
    """,
        name,
    )


def test_absent_name_is_an_import_error() -> None:
    check("""
        import pool
        pool.install_as_urllib3()
        try:
            from urllib3.util.ssl_ import DEFAULT_CIPHERS
        except ImportError as error:
            assert not isinstance(error, ModuleNotFoundError)
        else:
            raise AssertionError("imported")
    """)


def test_finder_gives_a_spec_with_the_urllib3_name_before_the_import() -> None:
    check("""
        import importlib.util, sys, pool
        pool.install_as_urllib3()
        spec = importlib.util.find_spec("urllib3.contrib.socks")
        assert spec.name == "urllib3.contrib.socks"
        assert spec.parent == "urllib3.contrib" and not spec.submodule_search_locations
        assert "urllib3.contrib.socks" not in sys.modules
        assert "class SOCKSProxyManager" in spec.loader.get_source(spec.name)
        assert spec.loader.get_code(spec.name).co_filename.endswith("socks.py")
        assert not spec.loader.is_package(spec.name)
        assert importlib.util.find_spec("urllib3.util.retry") is pool.util.retry.__spec__
    """)


def test_reload_under_the_alias_reloads_our_module() -> None:
    check("""
        import importlib, sys, pool
        pool.install_as_urllib3()
        import urllib3.util.timeout as timeout
        assert importlib.reload(timeout) is timeout
        assert sys.modules["pool.util.timeout"] is sys.modules["urllib3.util.timeout"] is timeout
        assert timeout.__name__ == "pool.util.timeout"
    """)


def test_agent_that_waits_for_a_module_is_called_with_the_urllib3_name() -> None:
    check(
        AGENT
        + textwrap.dedent("""
        import pool
        agent = Agent("urllib3", "urllib3.connectionpool", "urllib3.contrib.socks")
        sys.meta_path.insert(0, agent)
        pool.install_as_urllib3()
        import urllib3.connectionpool
        assert agent.fired == ["urllib3", "urllib3.connectionpool"], agent.fired
        assert agent.modules == [pool, pool.connectionpool]
        assert pool.__name__ == "pool" and pool.connectionpool.__name__ == "pool.connectionpool"
        assert pool.connectionpool.__spec__.name == "pool.connectionpool"
        assert not getattr(pool.connectionpool.__spec__, "_initializing", False)
        try:
            import urllib3.contrib.socks
        except ImportError:
            pass
        else:
            assert agent.fired[-1] == "urllib3.contrib.socks"
            assert urllib3.contrib.socks.__name__ == "pool.contrib.socks"
    """)
    )


def test_agent_whose_callback_fails_leaves_the_module_with_its_own_name() -> None:
    check(
        AGENT
        + textwrap.dedent("""
        import pool
        class Broken(list):
            def append(self, name):
                raise RuntimeError(name)
        agent = Agent("urllib3.connectionpool")
        agent.fired = Broken()
        sys.meta_path.insert(0, agent)
        try:
            pool.install_as_urllib3()
        except RuntimeError as error:
            assert str(error) == "urllib3.connectionpool"
        else:
            raise AssertionError("not raised")
        assert pool.connectionpool.__name__ == "pool.connectionpool"
        agent.fired = []
        pool.install_as_urllib3()
        assert agent.fired == ["urllib3.connectionpool"]
    """)
    )


def test_hook_with_a_spec_of_its_own_is_called_with_the_urllib3_name() -> None:
    check(
        AGENT
        + textwrap.dedent("""
        import pool
        class OwnSpec(Agent):
            def find_spec(self, name, path=None, target=None):
                spec = super().find_spec(name, path, target)
                return spec and importlib.util.spec_from_loader(name, spec.loader)
        agent = OwnSpec("urllib3.connectionpool")
        sys.meta_path.insert(0, agent)
        pool.install_as_urllib3()
        assert agent.fired == ["urllib3.connectionpool"]
        assert pool.connectionpool.__name__ == "pool.connectionpool"
    """)
    )


def test_wrapt_hook_fires() -> None:
    """wrapt, which most agents use, puts the wrapped loader back before it executes it."""
    need_module("wrapt")
    check("""
        import pool, wrapt
        seen = []
        def hook(module):
            seen.append((module, module.__name__))
        wrapt.register_post_import_hook(hook, "urllib3.connectionpool")
        wrapt.register_post_import_hook(hook, "urllib3.contrib.socks")
        pool.install_as_urllib3()
        assert seen == [(pool.connectionpool, "urllib3.connectionpool")]
        assert pool.connectionpool.__name__ == "pool.connectionpool"
        wrapt.register_post_import_hook(hook, "urllib3")
        assert len(seen) == 2 and seen[1][0] is pool
        try:
            import urllib3.contrib.socks
        except ImportError:
            pass
        else:
            assert seen[2] == (urllib3.contrib.socks, "urllib3.contrib.socks")
    """)


def test_metadata_answers_with_our_version_and_forgets_it() -> None:
    check("""
        import importlib.metadata as metadata
        import pool
        def real():
            try:
                return metadata.version("urllib3")
            except metadata.PackageNotFoundError:
                return None
        before = real()
        pool.install_as_urllib3()
        assert metadata.version("urllib3") == pool.__version__
        found = metadata.distribution("URLLIB3")
        assert found.metadata["Name"] == "urllib3" and not found.requires
        assert "urllib3" in {d.metadata["Name"] for d in metadata.distributions()}
        assert metadata.packages_distributions()["urllib3"][0] == "urllib3"
        assert not list(metadata.distributions(name="urllib3", path=[]))
        try:
            metadata.version("urllib4")
        except metadata.PackageNotFoundError:
            pass
        else:
            raise AssertionError("found")
        pool.uninstall_as_urllib3()
        assert real() == before
    """)


def test_requests_and_its_copies_use_us() -> None:
    need_module("requests")
    check("""
        import sys, pool
        pool.install_as_urllib3()
        import requests
        import requests.packages.urllib3.util.retry
        import requests.packages.urllib3.contrib.socks as late
        assert requests.adapters.PoolManager is pool.PoolManager
        assert requests.packages.urllib3 is pool
        assert requests.packages.urllib3.util.retry is pool.util.retry
        assert late is sys.modules["pool.contrib.socks"]
        copies = {n: m for n, m in sys.modules.items() if n.startswith("requests.packages.urllib3")}
        assert len(copies) >= 27
        for name, module in copies.items():
            assert module.__name__ == "pool" + name.removeprefix("requests.packages.urllib3")
        try:
            import requests.packages.urllib3.packages
        except ModuleNotFoundError:
            pass
        else:
            raise AssertionError("imported")
    """)


def test_requests_fetches_through_us(echo: object) -> None:
    need_module("requests")
    url = echo.url("/echo", token="t1")  # type: ignore[attr-defined]
    check(
        """
        import sys, pool
        pool.install_as_urllib3()
        import requests
        with requests.Session() as session:
            session.trust_env = False
            response = session.get(sys.argv[1], timeout=10)
            assert response.text == "t1"
            assert type(response.raw) is pool.HTTPResponse
    """,
        url,
    )


def test_install_and_uninstall_may_be_repeated() -> None:
    check("""
        import sys, pool
        finders = list(sys.meta_path)
        pool.uninstall_as_urllib3()
        pool.install_as_urllib3()
        modules = dict(sys.modules)
        pool.install_as_urllib3()
        assert dict(sys.modules) == modules
        assert len(sys.meta_path) == len(finders) + 1
        pool.uninstall_as_urllib3()
        pool.uninstall_as_urllib3()
        assert sys.meta_path == finders
        assert not [name for name in sys.modules if name.split(".")[0] == "urllib3"]
        pool.install_as_urllib3()
        import urllib3
        assert urllib3 is pool
    """)


def test_uninstall_restores_the_real_modules_exactly() -> None:
    need_module("urllib3")
    check("""
        import sys
        import urllib3.util.retry
        import urllib3.contrib
        real = {n: m for n, m in sys.modules.items() if n.split(".")[0] == "urllib3"}
        del urllib3
        import pool
        pool.install_as_urllib3()
        assert sys.modules["urllib3"] is pool
        assert real["urllib3"] is not pool
        import urllib3.contrib.socks
        del urllib3
        pool.uninstall_as_urllib3()
        now = {n: m for n, m in sys.modules.items() if n.split(".")[0] == "urllib3"}
        assert list(now) == list(real) and all(now[n] is real[n] for n in real)
        import urllib3
        assert urllib3.__name__ == urllib3.__spec__.name == "urllib3"
        assert urllib3.util.retry.Retry is not pool.Retry
    """)


def test_real_urllib3_that_nobody_holds_gives_way() -> None:
    need_module("urllib3")
    check("""
        import importlib
        importlib.import_module("urllib3")
        import pool
        pool.install_as_urllib3()
        import urllib3
        assert urllib3 is pool
    """)


@pytest.mark.parametrize(
    "statement",
    [
        "import urllib3",
        "from urllib3 import util",
        "from urllib3.exceptions import HTTPError as E",
        "from urllib3.util import parse_url",
        "import importlib\nretry = importlib.import_module('urllib3').Retry(3)",
        "import urllib3\nclass Mine(urllib3.PoolManager): pass\ndel urllib3",
    ],
)
def test_held_urllib3_is_an_error_that_names_the_holder(statement: str, tmp_path: Path) -> None:
    need_module("urllib3")
    (tmp_path / "the_holder.py").write_text(statement + "\n")
    check(
        """
        import sys
        sys.path.insert(0, sys.argv[1])
        import the_holder
        real = sys.modules["urllib3"]
        finders = list(sys.meta_path)
        import pool
        try:
            pool.install_as_urllib3()
        except RuntimeError as error:
            assert error.holders == ("__main__", "the_holder"), error.holders
            assert "the_holder" in str(error) and "force=True" in str(error)
            assert "force=True" in error.hint
        else:
            raise AssertionError("installed")
        assert sys.modules["urllib3"] is real and sys.meta_path == finders
        del real
        pool.install_as_urllib3(force=True)
        assert sys.modules["urllib3"] is pool
    """,
        str(tmp_path),
    )


def test_holder_with_two_names_is_one_holder() -> None:
    """multiprocessing makes a second name for `__main__`."""
    need_module("urllib3")
    check("""
        import multiprocessing, sys
        assert sys.modules["__mp_main__"] is sys.modules["__main__"]
        import urllib3
        import pool
        try:
            pool.install_as_urllib3()
        except pool.AliasError as error:
            assert error.holders == ("__main__",), error.holders
        else:
            raise AssertionError("installed")
    """)


def test_long_list_of_holders_is_cut() -> None:
    from pool import AliasError

    error = AliasError([f"module{number}" for number in range(20)])
    assert "module7 and 12 more" in str(error)
    assert len(error.holders) == 20


def test_force_leaves_holders_on_the_real_one_and_uninstall_undoes_it() -> None:
    need_module("requests")
    check("""
        import sys
        import requests
        real = requests.packages.urllib3
        names = [n for n in sys.modules if n.startswith(("urllib3", "requests.packages.urllib3"))]
        before = {name: sys.modules[name] for name in names}
        import pool
        try:
            pool.install_as_urllib3()
        except RuntimeError as error:
            assert "requests.adapters" in error.holders
        else:
            raise AssertionError("installed")
        pool.install_as_urllib3(force=True)
        import urllib3, requests.packages.urllib3.util.retry
        assert urllib3 is pool and requests.packages.urllib3 is pool
        assert requests.packages.urllib3.util.retry is pool.util.retry
        assert requests.adapters.PoolManager is real.PoolManager is not pool.PoolManager
        pool.uninstall_as_urllib3()
        after = [n for n in sys.modules if n.startswith(("urllib3", "requests.packages.urllib3"))]
        assert {name: sys.modules[name] for name in after} == before
        assert requests.packages.urllib3 is real
    """)


def test_threads_that_install_and_import_at_once_agree() -> None:
    check("""
        import importlib, sys, threading, pool
        sys.setswitchinterval(1e-6)
        names = ["urllib3", "urllib3.util.retry", "urllib3.contrib.pyopenssl", "urllib3.filepost"]
        start, wrong = threading.Barrier(16), []
        def work(number):
            start.wait()
            pool.install_as_urllib3()
            for name in names[number % 4:] + names[:number % 4]:
                try:
                    module = importlib.import_module(name)
                except ImportError:
                    continue
                if module is not sys.modules["pool" + name.removeprefix("urllib3")]:
                    wrong.append(name)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert not wrong, wrong
        ours = [f for f in sys.meta_path if type(f).__module__ == "pool._alias"]
        assert len(ours) == 1
    """)


def test_pickles_made_under_the_alias_name_our_modules() -> None:
    check("""
        import pickle, pool
        pool.install_as_urllib3()
        from urllib3 import Retry
        data = pickle.dumps(Retry(3))
        pool.uninstall_as_urllib3()
        assert type(pickle.loads(data)) is pool.Retry
    """)


def test_run_gives_a_script_its_arguments_and_our_urllib3(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import urllib3\nname = urllib3.__name__\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, helper\n"
        "print(__name__, helper.name, sys.argv[1:], sys.argv[0].endswith('script.py'))\n"
        "sys.exit(7)\n"
    )
    done = python("-m", "pool", "run", str(script), "-m", "--help", "x")
    assert done.stdout.split(" ", 2)[:2] == ["__main__", "pool"], done.stderr
    assert "['-m', '--help', 'x'] True" in done.stdout
    assert done.returncode == 7


def test_run_gives_a_module_its_arguments_and_our_urllib3(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import sys, urllib3\nprint(__name__, urllib3.__name__, sys.argv[1:])\n"
    )
    done = python("-m", "pool", "run", "-m", "program", "-v", "--x=1", cwd=tmp_path)
    assert done.stdout == "__main__ pool ['-v', '--x=1']\n", done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("arguments", [[], ["-m"], ["--unknown", "x.py"]])
def test_run_with_wrong_arguments_says_so(arguments: list[str]) -> None:
    done = python("-m", "pool", "run", *arguments)
    assert done.returncode == 2
    assert "usage: " in done.stderr
    assert "script" in done.stderr


def test_run_has_help_of_its_own() -> None:
    done = python("-m", "pool", "run", "--help")
    assert done.returncode == 0
    assert "-m module" in done.stdout
