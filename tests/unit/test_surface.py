"""The surface of urllib3 2.8, module by module, against the installed urllib3.

Compared: which modules exist, ``__all__``, names (public and private), kinds, signatures
with defaults and annotations, class hierarchies, constants.  A difference fails unless
`DIFFERENCES` has it with a reason; an entry that no longer differs fails as well.  Names
that are ours alone are additions and not compared.
"""

from __future__ import annotations

import collections
import contextlib
import enum
import functools
import importlib
import importlib.util
import inspect
import logging
import pkgutil
import re
import types
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.support import implementations, programs

OURS = implementations.subject()
THEIRS = "urllib3"

# Not offered, see docs/differences.md.
LEFT_OUT = {".contrib.emscripten"}

# Names that a module has only because of how it is written: imports and loop variables.
INCIDENTAL = {"annotations", "TYPE_CHECKING", "attr", "unhexlify", "_subs", "_variations"}

# "what differs": why.  Each entry that users can meet is in docs/differences.md as well.
_NOT_AN_IOBASE = "io.IOBase's finaliser costs 6 us per response; registered, with all its methods"
_IN_CORE = "compiled: a look-up has no annotations"
DIFFERENCES: dict[str, str] = {
    "response.BaseHTTPResponse: bases": _NOT_AN_IOBASE,
    "response.HTTPResponse: bases": _NOT_AN_IOBASE,
    "http2.connection.HTTP2Response: bases": _NOT_AN_IOBASE,
    "_collections.HTTPHeaderDict.__contains__: signature": _IN_CORE,
    "_collections.HTTPHeaderDict.__getitem__: signature": _IN_CORE,
    "response.HTTPResponse._error_catcher: signature": "typed as the context manager that it is",
    "poolmanager.PoolManager.__init__: signature": "new keyword-only option: limits",
    "_request_methods.RequestMethods.request: signature": "timeout is named: faster",
    "http2.connection.RE_IS_LEGAL_HEADER_NAME: value": "`$` lets a trailing newline through",
    "http2.connection.RE_IS_ILLEGAL_HEADER_VALUE: value": "the same without repetitions",
    "connection._OBSOLETE_FOLD_RE: missing": "pattern of one private function",
    "response.DependencyWarning: missing": "an import that other modules do not take from there",
    "http2.probe._HTTP2ProbeCache._cache_locks: missing": "slots of a private class",
    "http2.probe._HTTP2ProbeCache._cache_values: missing": "slots of a private class",
}

programs.need_module(THEIRS)
OPENSSL = programs.optional_module("OpenSSL")


def suffixes() -> list[str]:
    """Every module of the installed urllib3, as "" or ".util.retry"."""
    package = importlib.import_module(THEIRS)
    found = [""]
    for module in pkgutil.walk_packages(package.__path__, THEIRS + ".", onerror=lambda _: None):
        suffix = module.name[len(THEIRS) :]
        if not any(suffix.startswith(left_out) for left_out in LEFT_OUT):
            found.append(suffix)
    return found


def load(name: str) -> types.ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def translated(text: str) -> str:
    """Text of either implementation with our name for the package, and plain type names."""
    text = re.sub(rf"\b{THEIRS}\b", OURS, text)
    text = re.sub(r"\b(typing|collections\.abc|types|ssl|_t|t)\.", "", text)
    return re.sub(r"0x[0-9a-f]+", "0x", text)


def is_from(package: str, value: object) -> bool:
    module = getattr(value, "__module__", None) or ""
    return module == package or str(module).startswith(package + ".")


# What counts as a constant that has a value to compare.
PLAIN = (str, bytes, int, float, tuple, list, dict, set, frozenset, re.Pattern, type(None))


class Comparison:
    """Collects the differences of one module as texts, without looking at reasons."""

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix
        self.found: list[str] = []

    def add(self, where: str, text: str) -> None:
        self.found.append(f"{self.suffix.lstrip('.') or 'pool'}{where}: {text}")

    def modules(self) -> list[str]:
        theirs = load(THEIRS + self.suffix)
        try:
            ours = load(OURS + self.suffix)
        except ModuleNotFoundError as error:
            self.add("", f"cannot be imported: {error}")
            return self.found
        self.exports(theirs, ours)
        for name, value in sorted(vars(theirs).items()):
            if self.belongs(theirs, name, value):
                self.member(f".{name}", value, vars(ours).get(name, MISSING), ours)
        return self.found

    def exports(self, theirs: types.ModuleType, ours: types.ModuleType) -> None:
        left = set(getattr(theirs, "__all__", ())) - set(getattr(ours, "__all__", ()))
        if left:
            self.add(".__all__", f"lacks {sorted(left)}")
        if hasattr(theirs, "__all__") != hasattr(ours, "__all__"):
            self.add(".__all__", f"is there: {hasattr(ours, '__all__')}")

    def belongs(self, module: types.ModuleType, name: str, value: object) -> bool:
        """Is it part of the surface, and not a standard-library import or a dunder?"""
        if name in INCIDENTAL or (name.startswith("__") and name != "__version__"):
            return False
        if isinstance(value, types.ModuleType):
            # Its own submodules are attributes or not depending on what was imported before.
            own = f"{module.__name__}.{name}"
            return value.__name__.startswith(THEIRS) and value.__name__ != own
        if isinstance(value, (type, types.FunctionType)):
            return is_from(THEIRS, value)
        if isinstance(value, logging.Logger):
            return True
        return is_from(THEIRS, type(value)) or isinstance(value, PLAIN) or callable(value)

    def member(self, where: str, theirs: Any, ours: Any, ours_in: types.ModuleType) -> None:
        if ours is MISSING:
            # Loaded when first asked for (PEP 562).
            with contextlib.suppress(AttributeError):
                ours = getattr(ours_in, where[1:])
        if ours is MISSING:
            if not is_foreign(theirs):
                self.add(where, "missing")
        elif isinstance(theirs, types.ModuleType):
            if translated(theirs.__name__) != getattr(ours, "__name__", None):
                self.add(where, f"is {ours!r}")
        elif isinstance(theirs, type):
            self.classes(where, theirs, ours)
        elif isinstance(theirs, types.FunctionType):
            self.callables(where, theirs, ours)
        else:
            self.values(where, theirs, ours)

    def values(self, where: str, theirs: Any, ours: Any) -> None:
        if isinstance(theirs, logging.Logger):
            if getattr(ours, "name", None) != theirs.name:
                self.add(where, f"logger {ours!r} instead of {theirs!r}")
        elif isinstance(theirs, (PLAIN, enum.Enum)):
            if where.endswith(("__version__", "version")):
                return  # the test of versions below
            one, other = translated(stable(theirs)), translated(stable(ours))
            if one != other:
                self.add(where, f"value {other} instead of {one}")

    def callables(self, where: str, theirs: Any, ours: Any) -> None:
        if not callable(ours):
            self.add(where, f"is not callable: {ours!r}")
            return
        one, other = parameters(theirs), parameters(ours)
        if one != other:
            self.add(where, f"signature ({', '.join(other)}) instead of ({', '.join(one)})")

    def classes(self, where: str, theirs: type, ours: Any) -> None:
        if not isinstance(ours, type):
            self.add(where, f"is not a class: {ours!r}")
            return
        if theirs.__module__ != THEIRS + self.suffix:
            # A re-export: the class itself is compared where it is defined.
            home = importlib.import_module(translated(theirs.__module__))
            if getattr(home, theirs.__name__, ours) is not ours:
                self.add(where, f"is another object than {home.__name__}.{theirs.__name__}")
            return
        one, other = ancestry(theirs), ancestry(ours)
        # Ours may have more bases, not fewer, and in the same order.
        if one != [base for base in other if base in one]:
            self.add(where, f"bases {other} instead of {one}")
        for name, value in sorted(vars(theirs).items()):
            if name == "_abc_impl":  # of the metaclass
                continue
            if not name.startswith("__") or name in COMPARED_DUNDERS:
                self.attribute(f"{where}.{name}", name, value, ours)

    def attribute(self, where: str, name: str, theirs: Any, ours: type) -> None:
        found = inspect.getattr_static(ours, name, MISSING)
        if found is MISSING:
            self.add(where, "missing")
        elif isinstance(theirs, (staticmethod, classmethod)):
            if type(found) is not type(theirs):
                self.add(where, f"is a {type(found).__name__}, not a {type(theirs).__name__}")
            else:
                self.callables(where, theirs.__func__, found.__func__)
        elif isinstance(theirs, types.FunctionType):
            self.callables(where, theirs, found)
        elif isinstance(theirs, property):
            if inspect.isfunction(found):
                self.add(where, "is a method, not a property")
            elif isinstance(found, property) and (theirs.fset is None) < (found.fset is None):
                self.add(where, "cannot be set")
        elif isinstance(theirs, PLAIN):
            self.values(where, theirs, getattr(ours, name, found))


MISSING = type("MISSING", (), {})()

COMPARED_DUNDERS = {
    f"__{name}__"
    for name in (
        *("init", "new", "del", "call", "enter", "exit", "iter", "len", "contains", "reduce"),
        *("getitem", "setitem", "delitem", "eq", "ne", "or", "ior", "ror", "repr", "str"),
        "init_subclass",
    )
}


def is_foreign(value: object) -> bool:
    """A helper of the standard library that a module happened to import by name."""
    module = str(getattr(value, "__module__", "") or "")
    return module.partition(".")[0] in {"typing", "collections", "functools", "contextlib"}


def ancestry(cls: type) -> list[str]:
    """The bases: ours by name alone, since a class may live in a private module."""
    return [
        f"{module.partition('.')[0] if module.startswith(OURS) else module}.{base.__qualname__}"
        for base in cls.__mro__[1:]
        for module in [translated(base.__module__)]
    ]


def stable(value: Any) -> str:
    """A repr that does not depend on hash order or addresses."""
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(stable, value)))}}}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{stable(k)}: {stable(v)}' for k, v in value.items())}}}"
    if type(value) in (tuple, list):
        return f"[{', '.join(map(stable, value))}]"
    if isinstance(value, type):
        return value.__qualname__
    return repr(value)


def parameters(function: Any) -> list[str]:
    """One text per parameter, with kind, default and annotation, and the result's."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return ["?"]
    shown = []
    for parameter in signature.parameters.values():
        text = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
        text += parameter.name
        if parameter.kind is parameter.KEYWORD_ONLY:
            text = "*, " + text
        if parameter.annotation is not parameter.empty:
            text += f": {translated(annotation(parameter.annotation))}"
        if parameter.default is not parameter.empty:
            text += f" = {translated(stable(parameter.default))}"
        shown.append(text)
    if signature.return_annotation is not signature.empty:
        shown.append(f"-> {translated(annotation(signature.return_annotation))}")
    return shown


def annotation(value: Any) -> str:
    text = value if isinstance(value, str) else inspect.formatannotation(value)
    # `Optional` and quotes are spelling, not meaning.
    return re.sub(r"""["'\s]""", "", text)


def excused(difference: str) -> str | None:
    for entry in DIFFERENCES:
        if difference == entry or difference.startswith(entry + " "):
            return entry
    return None


@functools.cache
def differences_of(suffix: str) -> tuple[str, ...]:
    return tuple(Comparison(suffix).modules())


@pytest.mark.parametrize("suffix", suffixes(), ids=lambda suffix: suffix.lstrip(".") or "top")
def test_module_has_the_surface_of_urllib3(suffix: str) -> None:
    if suffix == ".contrib.pyopenssl" and OPENSSL is None:
        pytest.skip("no OpenSSL for this Python")
    left = [text for text in differences_of(suffix) if excused(text) is None]
    assert not left, f"{len(left)} unlisted differences:\n" + "\n".join(left)


def test_every_listed_difference_still_is_one() -> None:
    if OPENSSL is None:
        pytest.skip("no OpenSSL for this Python")
    used = {excused(text) for suffix in suffixes() for text in differences_of(suffix)}
    assert sorted(set(DIFFERENCES) - used) == []


def test_left_out_modules_are_absent() -> None:
    for suffix in LEFT_OUT:
        assert importlib.util.find_spec(OURS + suffix) is None


def test_version_is_three_integers_of_the_same_api_level() -> None:
    version = load(OURS).__version__
    ours, theirs = (text.split(".") for text in (version, load(THEIRS).__version__))
    assert ours[:2] == theirs[:2]
    assert len(ours) == 3
    assert all(part.isdigit() for part in ours)


# Paths under which packages in use take a name, beside the module that defines it.
REACHABLE_UNDER = {
    "PoolManager": ("", ".poolmanager"),
    "ProxyManager": ("", ".poolmanager"),
    "proxy_from_url": ("", ".poolmanager"),
    "Retry": ("", ".util", ".util.retry", ".poolmanager", ".connectionpool"),
    "Timeout": ("", ".util", ".util.timeout", ".connectionpool", ".connection"),
    "HTTPConnectionPool": ("", ".connectionpool", ".poolmanager"),
    "HTTPSConnectionPool": ("", ".connectionpool", ".poolmanager"),
    "HTTPResponse": ("", ".response"),
    "BaseHTTPResponse": ("", ".response", ".connectionpool"),
    "HTTPHeaderDict": ("", "._collections", ".response", ".poolmanager"),
    "parse_url": (".util", ".util.url", ".poolmanager", ".connectionpool"),
    "Url": (".util", ".util.url"),
    "make_headers": ("", ".util", ".util.request"),
    "HTTPConnection": (".connection", ".connectionpool"),
    "HTTPSConnection": (".connection", ".connectionpool"),
    "SSLContext": (".util", ".util.ssl_"),
    "create_urllib3_context": (".util", ".util.ssl_"),
    "wait_for_read": (".util", ".util.wait", ".connection"),
    "is_connection_dropped": (".util", ".util.connection", ".connectionpool"),
    "ssl_wrap_socket": (".util", ".util.ssl_", ".connection"),
    "RequestMethods": ("._request_methods", ".poolmanager", ".connectionpool"),
    "MultiDecoder": (".response",),
}


@pytest.mark.parametrize("name", REACHABLE_UNDER)
def test_name_is_one_object_under_every_path(name: str) -> None:
    found = {suffix: getattr(load(OURS + suffix), name) for suffix in REACHABLE_UNDER[name]}
    assert len({id(value) for value in found.values()}) == 1, found


LOADED_BY_IMPORT = (
    *("_collections", "_request_methods", "connection", "connectionpool", "exceptions"),
    *("fields", "filepost", "http2", "poolmanager", "response", "util", "util.connection"),
    *("util.proxy", "util.request", "util.response", "util.retry", "util.ssl_"),
    *("util.ssl_match_hostname", "util.ssltransport", "util.timeout", "util.url", "util.wait"),
)


@pytest.mark.parametrize("name", LOADED_BY_IMPORT)
def test_submodule_is_an_attribute_after_a_plain_import(name: str) -> None:
    found: Any = load(OURS)
    for part in name.split("."):
        found = getattr(found, part)
    assert found is load(f"{OURS}.{name}")


def test_name_that_packages_probe_for_stays_absent() -> None:
    assert not hasattr(load(OURS + ".util.ssl_"), "DEFAULT_CIPHERS")


STANDARD_LIBRARY = [(".util.ssl_", "ssl"), (".connection", "socket"), (".connection", "ssl")]


@pytest.mark.parametrize(("suffix", "name"), STANDARD_LIBRARY)
def test_standard_library_module_that_packages_take_from_us(suffix: str, name: str) -> None:
    assert getattr(load(OURS + suffix), name) is importlib.import_module(name)


def exceptions_of(name: str) -> Iterator[tuple[str, type[BaseException]]]:
    for key, value in vars(load(f"{name}.exceptions")).items():
        if isinstance(value, type) and issubclass(value, BaseException):
            yield key, value


def test_exceptions_are_plain_classes_that_mix_with_others() -> None:
    for name, cls in exceptions_of(OURS):
        if is_from(OURS, cls) and issubclass(cls, load(f"{OURS}.exceptions").HTTPError):
            mixed = type("Mixed", (OSError, cls), {})
            assert issubclass(mixed, cls), name


def test_classes_that_are_patched_are_plain_python_classes() -> None:
    module = load(OURS)
    for cls in (
        module.PoolManager,
        module.HTTPConnectionPool,
        module.HTTPResponse,
        module.Retry,
        module.HTTPHeaderDict,
        module.connection.HTTPConnection,
    ):
        cls._set_by_a_test = 1
        del cls._set_by_a_test


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("PoolManager", "urlopen"),
        ("HTTPConnectionPool", "urlopen"),
        ("HTTPConnectionPool", "_make_request"),
        ("_request_methods.RequestMethods", "request"),
    ],
)
def test_method_that_agents_rewrite_is_pure_python(path: str, name: str) -> None:
    owner: Any = load(OURS)
    for part in path.split("."):
        owner = getattr(owner, part)
    assert inspect.isfunction(vars(owner)[name])


def test_comparison_sees_a_difference() -> None:
    """The tool itself: each kind of difference is reported."""
    comparison = Comparison(".exceptions")
    comparison.callables(".f", lambda a, b=1: None, lambda a, b=2: None)
    comparison.values(".c", frozenset({1}), frozenset({2}))
    comparison.classes(".E", load(f"{THEIRS}.exceptions").MaxRetryError, type("E", (), {}))
    kinds = collections.Counter(text.partition(": ")[2].split(" ")[0] for text in comparison.found)
    assert kinds["signature"]
    assert kinds["value"]
    assert kinds["bases"]


def _report(texts: Iterable[str]) -> None:
    for text in texts:
        print(text)


if __name__ == "__main__":
    _report(text for suffix in suffixes() for text in differences_of(suffix) if not excused(text))
