"""What `import pool` loads, and that nobody can tell except by what is loaded."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


def run(code: str, *arguments: str) -> list[str]:
    """Lines that a program prints in a process of its own, without site's imports."""
    code = f"import sys; sys.path[:] = {sys.path!r}\n" + code
    command = [sys.executable, "-S", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_import_loads_no_protocol_and_no_tls() -> None:
    heavy = {"http.client", "email", "ssl", "socket", "logging", "typing", "enum", "re"}
    printed = run(
        "before = set(sys.modules); import pool\nprint(*(set(sys.modules) - before), sep='\\n')\n"
    )
    assert not heavy & set(printed)
    assert {name for name in printed if name.startswith("pool")} == {
        *("pool", "pool._version", "pool._warnings"),
    }


def test_every_public_name_is_there_after_a_plain_import(impl: ModuleType) -> None:
    names = sorted(impl.__all__)
    printed = run(
        f"import {impl.__name__} as m\n"
        "for name in sys.argv[1:]:\n"
        "    print(name, getattr(m, name) is vars(m)[name], name in dir(m))\n",
        *names,
    )
    assert printed == [f"{name} True True" for name in names]


def test_submodules_are_reached_by_attribute_after_a_plain_import(impl: ModuleType) -> None:
    paths = [
        *("exceptions.HTTPError", "util.ssltransport.SSLTransport", "util.url.Url"),
        *("connectionpool.HTTPConnectionPool", "connection.HTTPConnection", "http2.probe"),
        *("_collections.HTTPHeaderDict", "response.HTTPResponse", "fields.RequestField"),
    ]
    code = (
        f"import {impl.__name__} as m, operator\n"
        "for path in sys.argv[1:]: print(operator.attrgetter(path)(m).__name__)"
    )
    assert run(code, *paths) == [
        path.rpartition(".")[2].replace("probe", f"{impl.__name__}.http2.probe") for path in paths
    ]


def test_name_that_is_not_there_is_reported_as_by_any_module(subject: ModuleType) -> None:
    with pytest.raises(AttributeError, match=r"module 'pool' has no attribute 'contribution'"):
        _ = subject.contribution
    assert "PoolManager" in dir(subject) and "util" in dir(subject)


def test_warning_filters_outlive_the_block_that_loads_the_errors(impl: ModuleType) -> None:
    code = (
        f"import warnings, {impl.__name__} as m\n"
        "with warnings.catch_warnings(): m.exceptions\n"
        "print(*(f'{f[0]} {f[2].__name__}' for f in warnings.filters[-2:]), sep='\\n')"
    )
    assert run(code) == ["always SecurityWarning", "default InsecurePlatformWarning"]


def test_package_that_logs_has_a_handler(impl: ModuleType) -> None:
    code = (
        f"import {impl.__name__} as m, logging\n"
        "m.PoolManager\n"
        "print(*(type(h).__name__ for h in logging.getLogger('urllib3').handlers))"
    )
    assert run(code) == ["NullHandler"]


def test_replacement_of_openssl_is_warned_of_when_tls_is_loaded(impl: ModuleType) -> None:
    code = (
        "import ssl, warnings; ssl.OPENSSL_VERSION = 'LibreSSL 2.8.3'\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        f"    import {impl.__name__}.connection\n"
        "print(*(f'{w.category.__name__}: {w.message}' for w in caught), sep='\\n')"
    )
    printed = run(code)
    assert len(printed) == 1 and "compiled with 'LibreSSL 2.8.3'" in printed[0]
    assert printed[0].startswith("NotOpenSSLWarning: urllib3 v2 only supports OpenSSL 1.1.1+")


def test_request_uses_the_manager_that_a_test_puts_in_place(
    impl: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    stand_in = SimpleNamespace(request=lambda *args, **kw: asked.append((args, kw["timeout"])))
    monkeypatch.setattr(impl, "_DEFAULT_POOL", stand_in)
    impl.request("GET", "http://example.org/", timeout=7)
    assert asked == [(("GET", "http://example.org/"), 7)]


def test_functions_of_the_package_pickle_by_its_name(impl: ModuleType) -> None:
    for function in (impl.request, impl.add_stderr_logger, impl.disable_warnings):
        assert function.__module__ == impl.__name__
        assert pickle.loads(pickle.dumps(function)) is function


def test_warnings_are_named_after_the_module_of_the_errors(impl: ModuleType) -> None:
    warning = impl.exceptions.InsecureRequestWarning
    assert warning.__module__ == f"{impl.__name__}.exceptions"
    assert isinstance(pickle.loads(pickle.dumps(warning("text"))), warning)


def test_stderr_logger_is_returned_and_set_to_its_level(impl: ModuleType) -> None:
    logger = logging.getLogger("urllib3")
    before = logger.level
    handler = impl.add_stderr_logger(logging.ERROR)
    try:
        assert handler in logger.handlers and logger.level == logging.ERROR
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
