"""util.ssl_cache: when a context is shared and when it is built anew; ours alone."""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.scripted import Send

TIME_LIMIT = 10  # seconds, for each wait on a socket or a thread


@pytest.fixture
def cache_module(subject: ModuleType) -> ModuleType:
    from pool.util import ssl_cache

    return ssl_cache


@pytest.fixture
def ssl_(subject: ModuleType) -> ModuleType:
    from pool.util import ssl_

    return ssl_


class Factory:
    """create_urllib3_context that counts, and takes `seconds` as a big CA bundle would."""

    def __init__(self, seconds: float = 0) -> None:
        self.calls: list[dict[str, Any]] = []
        self.seconds = seconds

    def __call__(self, **kw: Any) -> ssl.SSLContext:
        from pool.util import ssl_

        self.calls.append(kw)
        time.sleep(self.seconds)
        return ssl_.create_urllib3_context(**kw)


@pytest.fixture
def factory() -> Factory:
    return Factory()


@pytest.fixture
def cache(cache_module: ModuleType) -> Any:
    return cache_module.ContextCache()


@pytest.fixture
def config(cache_module: ModuleType, certificates: Any) -> Callable[..., Any]:
    """A configuration with a small CA file unless the test names another source."""

    def make(**kw: Any) -> Any:
        if not kw.keys() & {"ca_certs", "ca_cert_dir", "ca_cert_data"}:
            kw["ca_certs"] = str(certificates.ca)
        return cache_module.TLSConfig(**kw)

    return make


def test_same_configuration_shares_one_context(
    cache: Any, config: Callable[..., Any], factory: Factory
) -> None:
    first = cache.get(config(), factory)
    assert cache.get(config(), factory) is first
    assert len(factory.calls) == 1


def test_context_is_ready(cache: Any, config: Callable[..., Any]) -> None:
    context = cache.get(config())
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname is True
    assert context.hostname_checks_common_name is False
    assert context.cert_store_stats()["x509_ca"] == 1


def test_system_store_is_loaded_when_no_ca_is_given(
    cache: Any, cache_module: ModuleType, ssl_: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Any] = []

    class Counting(ssl.SSLContext):
        def load_default_certs(self, *args: Any) -> None:  # type: ignore[override]
            loads.append(args)

    monkeypatch.setattr(ssl_, "SSLContext", Counting)
    assert type(cache.get(cache_module.TLSConfig())) is Counting
    cache.get(cache_module.TLSConfig(ca_cert_data=b""))
    cache.get(cache_module.TLSConfig())
    assert loads == [(), ()]


VARIANTS: list[dict[str, Any]] = [
    {"cert_reqs": ssl.CERT_NONE, "check_hostname": False},
    {"cert_reqs": ssl.CERT_OPTIONAL},
    {"check_hostname": False},
    {"ssl_minimum_version": ssl.TLSVersion.TLSv1_3},
    {"ssl_maximum_version": ssl.TLSVersion.TLSv1_2},
    {"options": ssl.OP_NO_TICKET},
    {"ciphers": "ECDHE+AESGCM"},
    {"verify_flags": ssl.VERIFY_CRL_CHECK_LEAF},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: next(iter(variant)))
def test_each_parameter_separates(
    cache: Any, config: Callable[..., Any], factory: Factory, variant: dict[str, Any]
) -> None:
    plain = cache.get(config(), factory)
    other = cache.get(config(**variant), factory)
    assert other is not plain
    assert cache.get(config(**variant), factory) is other
    assert cache.get(config(), factory) is plain
    assert plain.verify_mode == ssl.CERT_REQUIRED
    assert plain.check_hostname is True


def test_source_of_ca_separates(
    cache: Any, config: Callable[..., Any], factory: Factory, certificates: Any
) -> None:
    pem = certificates.ca.read_text()
    sources: list[dict[str, Any]] = [
        {"ca_certs": str(certificates.ca)},
        {"ca_certs": str(certificates.foreign_ca)},
        {"ca_cert_dir": str(certificates.ca_directory)},
        {"ca_cert_data": pem},
        {"ca_cert_data": ssl.PEM_cert_to_DER_cert(pem)},
    ]
    made = [cache.get(config(**source), factory) for source in sources for _ in range(2)]
    assert len(set(made)) == len(factory.calls) == len(sources)


def test_client_certificate_and_password_separate(
    cache: Any, config: Callable[..., Any], factory: Factory, certificates: Any
) -> None:
    pair = certificates.client
    files = {"cert_file": str(pair.certificate), "key_file": str(pair.key)}
    plain = cache.get(config(), factory)
    client = cache.get(config(**files), factory)
    with_password = cache.get(config(**files, key_password="unused"), factory)
    assert len({plain, client, with_password}) == 3
    assert cache.get(config(**files), factory) is client


def test_password_is_not_shown(config: Callable[..., Any]) -> None:
    assert "secret" not in repr(config(key_password="secret"))


def test_context_class_factory_and_alpn_separate(
    cache: Any,
    config: Callable[..., Any],
    factory: Factory,
    ssl_: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Truststore(ssl.SSLContext):
        pass

    plain = cache.get(config(), factory)
    assert cache.get(config(), Factory()) is not plain
    monkeypatch.setattr(ssl_, "SSLContext", Truststore)
    assert type(cache.get(config(), factory)) is Truststore
    monkeypatch.undo()
    monkeypatch.setattr(ssl_, "ALPN_PROTOCOLS", ["h2"])
    assert cache.get(config(), factory) is not plain
    monkeypatch.undo()
    assert cache.get(config(), factory) is plain


class TestFilesAndEnvironment:
    @pytest.fixture
    def bundle(self, tmp_path: Path, certificates: Any) -> Path:
        return Path(shutil.copy(certificates.ca, tmp_path / "bundle.pem"))

    def test_changed_bundle_is_loaded_and_replaces_the_old_context(
        self, cache: Any, config: Callable[..., Any], bundle: Path, certificates: Any
    ) -> None:
        old = cache.get(config(ca_certs=str(bundle)))
        with bundle.open("ab") as file:
            file.write(certificates.foreign_ca.read_bytes())
        new = cache.get(config(ca_certs=str(bundle)))
        assert new is not old
        assert new.cert_store_stats()["x509_ca"] == 2
        assert old.cert_store_stats()["x509_ca"] == 1
        assert len(cache._state.entries) == 1

    def test_file_moved_into_place_with_the_same_size_and_time_is_noticed(
        self, cache: Any, config: Callable[..., Any], bundle: Path
    ) -> None:
        old = cache.get(config(ca_certs=str(bundle)))
        status = bundle.stat()
        twin = Path(shutil.copy(bundle, bundle.with_name("twin")))
        os.utime(twin, ns=(status.st_atime_ns, status.st_mtime_ns))
        twin.replace(bundle)
        assert bundle.stat().st_mtime_ns == status.st_mtime_ns
        assert cache.get(config(ca_certs=str(bundle))) is not old

    @pytest.mark.parametrize("which", ["cert_file", "key_file"])
    def test_renewed_client_certificate_or_key(
        self,
        cache: Any,
        config: Callable[..., Any],
        certificates: Any,
        tmp_path: Path,
        which: str,
    ) -> None:
        pair = certificates.client
        files = {"cert_file": tmp_path / "c.pem", "key_file": tmp_path / "k.pem"}
        shutil.copy(pair.certificate, files["cert_file"])
        shutil.copy(pair.key, files["key_file"])
        named = {name: str(path) for name, path in files.items()}
        old = cache.get(config(**named))
        assert cache.get(config(**named)) is old
        os.utime(files[which], ns=(1, 1))
        assert cache.get(config(**named)) is not old

    def test_new_file_in_ca_directory(
        self, cache: Any, config: Callable[..., Any], tmp_path: Path
    ) -> None:
        old = cache.get(config(ca_cert_dir=str(tmp_path)))
        assert cache.get(config(ca_cert_dir=str(tmp_path))) is old
        (tmp_path / "0123abcd.0").touch()
        os.utime(tmp_path, ns=(1, 1))  # whatever the resolution of the clock
        assert cache.get(config(ca_cert_dir=str(tmp_path))) is not old

    @pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
    def test_system_store_by_environment(
        self,
        cache: Any,
        cache_module: ModuleType,
        monkeypatch: pytest.MonkeyPatch,
        bundle: Path,
        variable: str,
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        monkeypatch.setenv("SSL_CERT_DIR", str(bundle.parent))
        old = cache.get(cache_module.TLSConfig())
        assert old.cert_store_stats()["x509_ca"] == 1
        assert cache.get(cache_module.TLSConfig()) is old
        monkeypatch.setenv(variable, os.devnull)
        assert cache.get(cache_module.TLSConfig()) is not old
        monkeypatch.undo()
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        monkeypatch.setenv("SSL_CERT_DIR", str(bundle.parent))
        assert cache.get(cache_module.TLSConfig()) is old
        os.utime(bundle if variable == "SSL_CERT_FILE" else bundle.parent, ns=(1, 1))
        assert cache.get(cache_module.TLSConfig()) is not old

    def test_key_log_file_is_part_of_the_key_and_survives_rotation(
        self,
        cache: Any,
        config: Callable[..., Any],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        plain = cache.get(config())
        log = tmp_path / "keys.log"
        monkeypatch.setenv("SSLKEYLOGFILE", str(log))
        logging = cache.get(config())
        assert logging.keylog_filename == str(log)
        assert cache.get(config()) is logging
        log.rename(tmp_path / "keys.log.1")
        rotated = cache.get(config())
        assert rotated is not logging
        assert log.exists()
        monkeypatch.delenv("SSLKEYLOGFILE")
        assert cache.get(config()) is plain


class TestFailure:
    def test_error_is_not_cached(
        self, cache: Any, config: Callable[..., Any], certificates: Any, tmp_path: Path
    ) -> None:
        from pool.exceptions import SSLError

        bundle = tmp_path / "late.pem"
        for _ in range(2):
            with pytest.raises(SSLError):
                cache.get(config(ca_certs=str(bundle)))
        shutil.copy(certificates.ca, bundle)
        assert cache.get(config(ca_certs=str(bundle))).cert_store_stats()["x509_ca"] == 1
        assert not cache._state.building

    def test_unhashable_value_is_built_each_time(
        self, cache: Any, config: Callable[..., Any], certificates: Any
    ) -> None:
        der = bytearray(ssl.PEM_cert_to_DER_cert(certificates.ca.read_text()))
        first = cache.get(config(ca_cert_data=der))
        assert first.cert_store_stats()["x509_ca"] == 1
        assert cache.get(config(ca_cert_data=der)) is not first

    def test_pinned_version_warns_every_time_but_is_built_once(
        self, cache: Any, config: Callable[..., Any], factory: Factory
    ) -> None:
        for _ in range(3):
            with pytest.warns(FutureWarning, match="'ssl_version' option is deprecated"):
                cache.get(config(ssl_version=ssl.PROTOCOL_TLSv1_2), factory)
        assert len(factory.calls) == 1


class TestTamperedContext:
    """A cached context that somebody reached through ``sock.context`` and changed."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("check_hostname", False),
            ("hostname_checks_common_name", True),
            ("minimum_version", ssl.TLSVersion.TLSv1_3),
            ("options", ssl.OP_ALL),
            ("verify_flags", ssl.VERIFY_CRL_CHECK_LEAF),
        ],
    )
    def test_is_not_handed_out_again(
        self, cache: Any, config: Callable[..., Any], name: str, value: Any
    ) -> None:
        context = cache.get(config())
        setattr(context, name, value)
        fresh = cache.get(config())
        assert fresh is not context
        assert getattr(fresh, name) != value
        assert cache.get(config()) is fresh

    def test_verification_switched_off(self, cache: Any, config: Callable[..., Any]) -> None:
        context = cache.get(config(check_hostname=False))
        context.verify_mode = ssl.CERT_NONE
        assert cache.get(config(check_hostname=False)).verify_mode == ssl.CERT_REQUIRED


class TestBounds:
    def test_least_recently_used_goes_first(
        self, cache_module: ModuleType, config: Callable[..., Any], factory: Factory
    ) -> None:
        cache = cache_module.ContextCache(maxsize=2)
        a, b, c = (config(ciphers=name) for name in ("AESGCM", "CHACHA20", "ECDHE"))
        first = cache.get(a, factory)
        cache.get(b, factory)
        assert cache.get(a, factory) is first
        cache.get(c, factory)
        assert cache.get(a, factory) is first
        calls = len(factory.calls)
        cache.get(b, factory)
        assert len(factory.calls) == calls + 1
        assert len(cache._state.entries) == 2

    def test_clear(self, cache: Any, config: Callable[..., Any]) -> None:
        context = cache.get(config())
        cache.clear()
        assert cache.get(config()) is not context

    def test_copies_and_pickles_are_empty_caches_of_the_same_size(
        self, cache_module: ModuleType, config: Callable[..., Any]
    ) -> None:
        cache = cache_module.ContextCache(maxsize=7)
        context = cache.get(config())
        for twin in (pickle.loads(pickle.dumps(cache)), copy.deepcopy(cache)):
            assert twin._maxsize == 7
            assert twin.get(config()) is not context
        assert cache.get(config()) is context


class TestThreads:
    def run(self, count: int, work: Callable[[int], object]) -> list[object]:
        results: list[object] = [None] * count
        barrier = threading.Barrier(count)

        def body(index: int) -> None:
            barrier.wait(TIME_LIMIT)
            results[index] = work(index)

        threads = [threading.Thread(target=body, args=(i,), daemon=True) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIME_LIMIT)
        assert not any(thread.is_alive() for thread in threads)
        return results

    def test_simultaneous_misses_build_once(self, cache: Any, config: Callable[..., Any]) -> None:
        slow = Factory(seconds=0.05)
        contexts = self.run(16, lambda index: cache.get(config(), slow))
        assert len(set(contexts)) == 1
        assert len(slow.calls) == 1

    def test_different_configurations_are_built_at_the_same_time(
        self, cache: Any, config: Callable[..., Any]
    ) -> None:
        meeting = threading.Barrier(2)

        def factory(**kw: Any) -> ssl.SSLContext:
            meeting.wait(TIME_LIMIT)  # breaks when one waits for the other's end
            return Factory()(**kw)

        names = ("AESGCM", "CHACHA20")
        self.run(2, lambda index: cache.get(config(ciphers=names[index]), factory))
        assert not meeting.broken

    def test_failure_in_one_thread_does_not_stop_the_others(
        self, cache: Any, config: Callable[..., Any]
    ) -> None:
        failures = iter([True])

        def factory(**kw: Any) -> ssl.SSLContext:
            if next(failures, False):
                raise RuntimeError("first one fails")
            return Factory()(**kw)

        def work(index: int) -> object:
            try:
                return cache.get(config(), factory)
            except RuntimeError:
                return None

        contexts = self.run(8, work)
        assert contexts.count(None) == 1
        assert all(context is cache.get(config(), factory) for context in contexts if context)

    def test_building_may_use_the_cache_itself(
        self, cache: Any, config: Callable[..., Any]
    ) -> None:
        """A warnings or audit hook that sends its own HTTPS request."""
        depth = iter([True])

        def factory(**kw: Any) -> ssl.SSLContext:
            if next(depth, False):
                cache.get(config(), factory)
            return Factory()(**kw)

        assert self.run(1, lambda index: cache.get(config(), factory)) != [None]

    def test_hits_wait_for_nobody(self, cache: Any, config: Callable[..., Any]) -> None:
        context = cache.get(config())
        with cache._state.lock:
            assert self.run(4, lambda index: cache.get(config())) == [context] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
class TestFork:
    def test_child_starts_empty_and_with_free_locks(
        self, cache: Any, config: Callable[..., Any]
    ) -> None:
        context = cache.get(config())
        held, release = threading.Event(), threading.Event()

        def hold_lock() -> None:
            with cache._state.lock:
                held.set()
                release.wait(TIME_LIMIT)

        holder = threading.Thread(target=hold_lock, daemon=True)
        holder.start()
        assert held.wait(TIME_LIMIT)
        try:
            status = self.in_child(lambda: cache.get(config()) is not context)
        finally:
            release.set()
            holder.join(TIME_LIMIT)
        assert status == 0
        assert cache.get(config()) is context

    def in_child(self, check: Callable[[], bool]) -> int:
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                os._exit(0 if check() else 1)
            os._exit(2)
        deadline = time.monotonic() + TIME_LIMIT
        while time.monotonic() < deadline:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        return -9


class TestWithWrapSocket:
    """A context of the cache goes through ssl_wrap_socket() without being loaded again."""

    @pytest.fixture
    def connect(self, scripted: Any, certificates: Any) -> Iterator[Callable[[], socket.socket]]:
        server = scripted([Send(b"hello")], context=certificates.server.server_context())
        with contextlib.ExitStack() as opened:
            yield lambda: opened.enter_context(
                socket.create_connection((server.host, server.port), TIME_LIMIT)
            )

    @pytest.fixture
    def loads(self, ssl_: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Names of the methods that were called to load something into a context."""
        called: list[str] = []

        def noting(name: str) -> Any:
            def method(self: Any, *args: Any) -> Any:
                called.append(name)
                return getattr(ssl.SSLContext, name)(self, *args)

            return method

        names = ("load_verify_locations", "load_cert_chain", "set_alpn_protocols")
        watched = type("Watched", (ssl.SSLContext,), {name: noting(name) for name in names})
        monkeypatch.setattr(ssl_, "SSLContext", watched)
        return called

    def test_second_connection_loads_nothing(
        self,
        cache: Any,
        config: Callable[..., Any],
        ssl_: ModuleType,
        connect: Callable[[], socket.socket],
        loads: list[str],
        certificates: Any,
    ) -> None:
        ca = str(certificates.ca)
        for _ in range(3):
            with ssl_.ssl_wrap_socket(
                connect(), server_hostname="localhost", ca_certs=ca, ssl_context=cache.get(config())
            ) as tls:
                assert tls.recv(5) == b"hello"
        assert loads == ["load_verify_locations", "set_alpn_protocols"]

    def test_names_are_still_checked(
        self,
        cache: Any,
        config: Callable[..., Any],
        ssl_: ModuleType,
        connect: Callable[[], socket.socket],
        certificates: Any,
    ) -> None:
        for _ in range(2):
            with pytest.raises(ssl.SSLCertVerificationError):
                ssl_.ssl_wrap_socket(
                    connect(),
                    server_hostname="elsewhere.example",
                    ca_certs=str(certificates.ca),
                    ssl_context=cache.get(config()),
                )

    def test_other_certificates_are_loaded_and_the_cache_lets_go(
        self,
        cache: Any,
        config: Callable[..., Any],
        ssl_: ModuleType,
        connect: Callable[[], socket.socket],
        certificates: Any,
    ) -> None:
        """Somebody passes ``sock.context`` on as their own ``ssl_context``."""
        foreign = config(ca_certs=str(certificates.foreign_ca))
        context = cache.get(foreign)
        with ssl_.ssl_wrap_socket(
            connect(),
            server_hostname="localhost",
            ca_certs=str(certificates.ca),
            ssl_context=context,
        ) as tls:
            assert tls.recv(5) == b"hello"
        fresh = cache.get(foreign)
        assert fresh is not context
        assert fresh.cert_store_stats()["x509_ca"] == 1

    def test_context_serves_many_threads_at_once(
        self,
        cache: Any,
        config: Callable[..., Any],
        ssl_: ModuleType,
        connect: Callable[[], socket.socket],
        certificates: Any,
    ) -> None:
        ca = str(certificates.ca)

        def talk(index: int) -> bytes:
            with ssl_.ssl_wrap_socket(
                connect(), server_hostname="localhost", ca_certs=ca, ssl_context=cache.get(config())
            ) as tls:
                answer: bytes = tls.recv(5)
                return answer

        assert TestThreads().run(8, talk) == [b"hello"] * 8


def test_hit_costs_less_than_a_thousandth_of_the_build(
    cache: Any, cache_module: ModuleType
) -> None:
    """The point of it all; a collapse shows here, not a regression of some per cent."""
    config = cache_module.TLSConfig()
    cache.get(config)
    start = time.perf_counter()
    for _ in range(1000):
        cache.get(config)
    assert (time.perf_counter() - start) / 1000 < 0.001  # seconds; measured 0.00003
