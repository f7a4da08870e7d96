"""Fixtures of the whole suite: the implementation by name, real servers.

`impl` runs a test on urllib3 and on pool; `subject` on pool alone.  FASTPOOL_TEST_IMPL
chooses others by name; FASTPOOL_REQUIRE_PROGRAMS=1 turns what is missing into failures.
"""

from __future__ import annotations

import faulthandler
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import hypothesis
import pytest

from tests import coverage
from tests.support import implementations, programs


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes seconds by nature (time limits, large bodies)")
    config.addinivalue_line("markers", "leaks: measures memory in a process of its own")
    config.addinivalue_line("markers", "green: runs on gevent or eventlet, which copy stacks")
    if not faulthandler.is_enabled():
        faulthandler.enable()
    # Ignored in what nohup or a script runs in the background, and then also in every child.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # How long examples take is up to the machine and the sanitizers; `timeout` ends a test.
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("untimed")
    if os.environ.get("FASTPOOL_COVERAGE") == "1":
        coverage.count_children()
        coverage.survive_interrupts()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """FASTPOOL_WITHOUT_GIL=1: nothing that was imported may have turned the GIL on."""
    if os.environ.get("FASTPOOL_WITHOUT_GIL") == "1" and sys._is_gil_enabled():
        raise pytest.UsageError("the GIL is on")


def implementation(name: str) -> ModuleType:
    try:
        return implementations.load(name)
    except ImportError as error:
        if name == implementations.subject():
            raise  # what is tested may not be missing, ever
        programs.unavailable(f"{name} is not importable: {error}")


@pytest.fixture(params=implementations.selected(), scope="session")
def impl(request: pytest.FixtureRequest) -> ModuleType:
    """The implementation as a module: each test runs once per name."""
    return implementation(request.param)


@pytest.fixture(scope="session")
def subject() -> ModuleType:
    """Our own implementation, for promises that urllib3 does not make."""
    return implementation(implementations.subject())


@pytest.fixture(scope="session")
def both() -> dict[str, ModuleType]:
    """urllib3 and the subject, for tests that compare their answers."""
    return {name: implementation(name) for name in implementations.NAMES}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Any:
    programs.need_program("openssl")
    from tests.support.certificates import Certificates

    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory, certificates: Any) -> Iterator[Any]:
    from tests.support import nginx as module

    program = programs.need_program("nginx")
    server = module.start(program, tmp_path_factory.mktemp("nginx"), certificates)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def echo() -> Iterator[Any]:
    """The standard library's server, threaded, keep-alive, HTTP/1.1."""
    from tests.support.echo import echo_server

    with echo_server() as server:
        yield server


@pytest.fixture
def scripted() -> Iterator[Any]:
    """`scripted(script, script, ..., context=None)` starts a server that stops with the test."""
    from tests.support.scripted import ScriptedServers

    servers = ScriptedServers()
    yield servers
    servers.stop()


_tokens = itertools.count(1)


@pytest.fixture
def token() -> Callable[[], str]:
    """A new token at every call, never the same twice in a session."""
    return lambda: f"t{next(_tokens):06d}"


@pytest.fixture
def manager(impl: ModuleType) -> Iterator[Any]:
    """A manager of the implementation under test, cleared afterwards."""
    with impl.PoolManager(timeout=10) as made:
        yield made
