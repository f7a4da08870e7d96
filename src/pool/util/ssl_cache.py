"""One SSLContext per TLS configuration, shared by all connections that use it.

A context with the system's CA bundle takes about 50 ms to build and a megabyte of memory.
A shared context is never changed: what used to be set on it per connection (verify mode,
host name check, certificates, ALPN) is part of its key. Contexts of the caller stay out.
"""

from __future__ import annotations

import functools
import itertools
import os
import ssl
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from . import ssl_

if TYPE_CHECKING:
    from collections.abc import Callable

    # Has the signature of create_urllib3_context().
    ContextFactory = Callable[..., ssl.SSLContext]


class TLSConfig(NamedTuple):
    """Everything a caller can say about a context; resolved constants, paths as given.

    `check_hostname` is False where the connection compares a fingerprint, another
    name or none, and with pyOpenSSL.
    """

    cert_reqs: int = ssl.CERT_REQUIRED
    check_hostname: bool = True
    ssl_version: int | None = None
    ssl_minimum_version: int | None = None
    ssl_maximum_version: int | None = None
    options: int | None = None
    ciphers: str | None = None
    verify_flags: int | None = None
    ca_certs: str | None = None
    ca_cert_dir: str | None = None
    ca_cert_data: str | bytes | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password: str | None = None

    def __repr__(self) -> str:
        shown = self._asdict()
        if self.key_password is not None:
            shown["key_password"] = "..."
        return f"TLSConfig({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class _Entry:
    """A context, and how it and its files looked when it was made."""

    __slots__ = ("context", "files", "keylog", "seal", "used")

    def __init__(self, context: ssl.SSLContext, files: _Stamps, keylog: str, used: int) -> None:
        self.context = context
        self.files = files
        self.keylog = _identity(keylog)  # after building, which creates the file
        self.seal = _seal(context)
        self.used = used

    def is_fresh(self, files: _Stamps, keylog: str) -> bool:
        return (
            self.files == files
            and self.keylog == _identity(keylog)
            and self.seal == _seal(self.context)
        )


class _Gate:
    """Lets one thread at a time build the context of one key."""

    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.users = 0  # threads inside or waiting; under the lock of the state


class _State:
    """All that changes; replaced as a whole in a forked child.

    The parent's contexts go too: another thread may have held one of OpenSSL's locks
    inside them at the fork, and nobody releases it in the child.
    """

    __slots__ = ("building", "clock", "entries", "lock", "pid")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.entries: dict[Any, _Entry] = {}
        self.building: dict[Any, _Gate] = {}
        self.clock = itertools.count()
        # Re-entrant, like the gates: a signal handler or finaliser may connect while we hold it.
        self.lock = threading.RLock()


class ContextCache:
    """At most `maxsize` contexts, the least recently used dropped first.

    Safe for threads: a hit takes no lock, and threads that miss the same
    configuration build it once. Empty in a forked child. Copies and pickles
    are empty caches of the same size.
    """

    def __init__(self, maxsize: int = 32) -> None:
        self._maxsize = maxsize
        self._state = _State()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._maxsize,)

    def get(self, config: TLSConfig, factory: ContextFactory | None = None) -> ssl.SSLContext:
        """A context that is ready for ``wrap_socket``; not to be changed.

        `factory` makes the bare context (default: ``create_urllib3_context``). Built
        anew when a CA, certificate or key file has another inode, size or time, and
        when someone changed the cached one. Raises what building raises.
        """
        if factory is None:
            factory = ssl_.create_urllib3_context
        environment = _Environment.read()
        key = _key(config, factory, environment)
        try:
            hash(key)
        except TypeError:  # a list or a bytearray, which ssl would take
            return build_context(config, factory)
        state = self._state
        if state.pid != os.getpid():
            state = self._state = _State()
        files = _file_stamps(config, environment)
        entry = state.entries.get(key)
        if entry is None or not entry.is_fresh(files, environment.keylog):
            return self._build_once(state, key)
        entry.used = next(state.clock)
        if ssl_._is_pinned(config.ssl_version):
            ssl_._warn_pinned(stacklevel=2)  # as a context of its own would have
        return entry.context

    def clear(self) -> None:
        """Forget all contexts; needed only when files inside a `ca_cert_dir` were rewritten."""
        self._state = _State()

    def _build_once(self, state: _State, key: _Key) -> ssl.SSLContext:
        with state.lock:
            gate = state.building.setdefault(key, _Gate())
            gate.users += 1
        try:
            with gate.lock:
                return self._build(state, key)
        finally:
            with state.lock:
                gate.users -= 1
                # Not earlier: who comes after a failure has to queue behind those who wait.
                if not gate.users:
                    del state.building[key]

    def _build(self, state: _State, key: _Key) -> ssl.SSLContext:
        # Taken before the files are read: a change meanwhile makes the entry stale.
        files = _file_stamps(key.config, key.environment)
        keylog = key.environment.keylog
        entry = state.entries.get(key)
        if entry is not None and entry.is_fresh(files, keylog):  # another thread was faster
            return entry.context
        context = build_context(key.config, key.factory)
        with state.lock:
            state.entries[key] = _Entry(context, files, keylog, next(state.clock))
            self._evict(state.entries)
        return context

    def _evict(self, entries: dict[Any, _Entry]) -> None:
        while len(entries) > self._maxsize:
            del entries[min(entries, key=lambda key: entries[key].used)]


# For connections and pools that belong to no PoolManager.
default_context_cache = ContextCache()


def build_context(config: TLSConfig, factory: ContextFactory) -> ssl.SSLContext:
    """A new context with all of `config` in it, in the order in which urllib3 sets it up."""
    asked = {
        name: value
        for name in ("options", "ciphers", "verify_flags")
        if (value := getattr(config, name)) is not None
    }
    context = factory(
        ssl_version=config.ssl_version,
        ssl_minimum_version=config.ssl_minimum_version,
        ssl_maximum_version=config.ssl_maximum_version,
        cert_reqs=config.cert_reqs,
        **asked,
    )
    context.verify_mode = config.cert_reqs  # type: ignore[assignment]
    if not config.check_hostname:
        context.check_hostname = False
    if not _names_ca(config):
        ssl_._load_default_certs(context)
    material = (
        config.ca_certs,
        config.ca_cert_dir,
        config.ca_cert_data,
        config.cert_file,
        config.key_file,
        config.key_password,
    )
    alpn = tuple(ssl_.ALPN_PROTOCOLS)
    ssl_._load_material(context, material)
    setattr(context, ssl_._LOADED, (material, alpn))
    return context


def _names_ca(config: TLSConfig) -> bool:
    return bool(config.ca_certs or config.ca_cert_dir or config.ca_cert_data)


class _Environment(NamedTuple):
    """The variables that OpenSSL and create_urllib3_context() read."""

    cert_file: str | None
    cert_dir: str | None
    keylog: str

    @classmethod
    def read(cls) -> _Environment:
        paths = _default_paths()
        return cls(
            os.environ.get(paths.openssl_cafile_env),
            os.environ.get(paths.openssl_capath_env),
            ssl_._keylog_path(),
        )


class _Key(NamedTuple):
    # First, so that "x" and b"x", equal in hash, are never compared (python -bb).
    types: tuple[type, ...]
    config: TLSConfig
    factory: ContextFactory
    # Others assign these two in ssl_; HTTP/2 changes the list.
    context_class: Any
    is_pyopenssl: bool
    alpn: tuple[str, ...]
    environment: _Environment


def _key(config: TLSConfig, factory: ContextFactory, environment: _Environment) -> _Key:
    return _Key(
        tuple(map(type, config)),
        config,
        factory,
        ssl_._context_class(),
        ssl_.IS_PYOPENSSL,
        tuple(ssl_.ALPN_PROTOCOLS),
        environment,
    )


# What ssl_wrap_socket() and users can set; reading them costs 5 us against 500 us of handshake.
_SEALED = (
    "verify_mode",
    "check_hostname",
    "hostname_checks_common_name",
    "minimum_version",
    "maximum_version",
    "options",
    "verify_flags",
    ssl_._LOADED,
)


def _seal(context: ssl.SSLContext) -> tuple[object, ...]:
    return tuple(getattr(context, name, None) for name in _SEALED)


# mtime in ns, size, inode of a file; None when there is none. The inode notices a file
# that was moved into place with its old time.
_Stamp = tuple[int, int, int] | None
_Stamps = tuple[_Stamp, ...]


def _file_stamps(config: TLSConfig, environment: _Environment) -> _Stamps:
    if _names_ca(config):
        authorities = [config.ca_certs, config.ca_cert_dir]
    else:
        authorities = _default_authorities(environment)
    return tuple(map(_stamp, (*authorities, config.cert_file, config.key_file)))


def _stamp(path: str | None) -> _Stamp:
    status = _status(path)
    return status and (status.st_mtime_ns, status.st_size, status.st_ino)


def _identity(path: str | None) -> tuple[int, int] | None:
    """Device and inode: a key log that was rotated has to be opened again."""
    status = _status(path)
    return status and (status.st_dev, status.st_ino)


def _status(path: str | None) -> os.stat_result | None:
    if not path:
        return None
    try:
        return os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None


def _default_authorities(environment: _Environment) -> list[str | None]:
    """The file and the directories that ``load_default_certs`` reads."""
    paths = _default_paths()
    file, directories = environment.cert_file, environment.cert_dir
    return [
        paths.openssl_cafile if file is None else file,
        *(paths.openssl_capath if directories is None else directories).split(os.pathsep),
    ]


# Constants of the OpenSSL library; what they name may change at any time.
_default_paths = functools.cache(ssl.get_default_verify_paths)
