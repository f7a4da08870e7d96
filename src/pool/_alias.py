"""urllib3's name for this package: ``install_as_urllib3()`` and its undoing.

Owns the ``sys.meta_path`` finder, the entries of ``sys.modules`` under ``urllib3`` (and
under ``requests.packages.urllib3``), and the answer of ``importlib.metadata`` about
urllib3, all of this process only.  Nothing is written to disk.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
import types
from collections.abc import Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import Distribution, DistributionFinder

__all__ = ["AliasError", "install_as_urllib3", "uninstall_as_urllib3"]

ALIAS = "urllib3"
PACKAGE = __name__.partition(".")[0]
# requests copies the urllib3 modules that it finds in sys.modules to this prefix.
REQUESTS_COPY = "requests.packages.urllib3"
PREFIXES = (ALIAS, REQUESTS_COPY)

# What `import urllib3` loads.  Code that reads `urllib3.util.ssltransport` after a plain
# import, and requests' copies, rely on exactly these.
LOADED_BY_IMPORT = (
    "",
    "._base_connection",
    "._collections",
    "._request_methods",
    "._version",
    ".connection",
    ".connectionpool",
    ".exceptions",
    ".fields",
    ".filepost",
    ".http2",
    ".http2.probe",
    ".poolmanager",
    ".response",
    ".util",
    ".util.connection",
    ".util.proxy",
    ".util.request",
    ".util.response",
    ".util.retry",
    ".util.ssl_",
    ".util.ssl_match_hostname",
    ".util.ssltransport",
    ".util.timeout",
    ".util.url",
    ".util.util",
    ".util.wait",
)


class AliasError(RuntimeError):
    """The real urllib3 is in use already.

    ``holders`` names the modules that hold its classes, ``hint`` says what to do.
    """

    def __init__(self, holders: Sequence[str]) -> None:
        self.holders = tuple(holders)
        self.hint = (
            f"call {PACKAGE}.install_as_urllib3() before these modules are imported, or pass "
            "force=True to leave them on the real urllib3 and alias it for later imports only"
        )
        names = ", ".join(self.holders[:8])
        if len(self.holders) > 8:
            names += f" and {len(self.holders) - 8} more"
        super().__init__(
            f"the real urllib3 is already imported and its classes are held by: {names}; "
            + self.hint
        )


def _is_under(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def _target_of(fullname: str) -> str | None:
    """Our module for an import of ``fullname``, or None if the name is not aliased."""
    for prefix in PREFIXES:
        if _is_under(fullname, prefix):
            return PACKAGE + fullname[len(prefix) :]
    return None


def _is_ours(module: Any) -> bool:
    """True for a module of this package, whatever name it is looked up under."""
    spec = vars(module).get("__spec__") if isinstance(module, types.ModuleType) else None
    return (
        spec is not None and sys.modules.get(spec.name) is module and _is_under(spec.name, PACKAGE)
    )


class _LoadingSpec(ModuleSpec):
    """Tells when the import system is done with a module.

    A hook that wraps our loader acts after ``exec_module`` has returned, and looks at
    ``module.__name__``.  The import system clears ``_initializing`` after that, on every
    path; no other step of an import comes later.
    """

    presented: tuple[types.ModuleType, str] | None = None

    @property
    def _initializing(self) -> bool:
        return bool(self.__dict__.get("loading", False))

    @_initializing.setter
    def _initializing(self, value: bool) -> None:
        self.__dict__["loading"] = value
        if not value and self.presented is not None:
            module, own_name = self.presented
            module.__name__ = own_name
            self.presented = None


class _AliasLoader(Loader):
    """Loads one alias: the module is ours, already imported or imported now."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._own_spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        module = importlib.import_module(self.target)
        self._own_spec = module.__spec__
        # Here and not in the finder: some hooks make a spec of their own.
        if type(spec) is ModuleSpec:
            spec.__class__ = _LoadingSpec
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        # The import system has just put the alias's spec on the module.  Relative imports
        # inside its functions and concurrent imports need its own one.
        alias_spec, module.__spec__ = module.__spec__, self._own_spec
        if isinstance(alias_spec, _LoadingSpec):
            alias_spec.presented = (module, self.target)
            module.__name__ = alias_spec.name

    def is_package(self, fullname: str) -> bool:
        return hasattr(importlib.import_module(self.target), "__path__")

    def get_code(self, fullname: str) -> types.CodeType | None:
        """The code of our module (``inspect``, ``runpy`` and ``pkgutil`` ask for it)."""
        loader: Any = self._own_loader()
        return loader.get_code(self.target) if hasattr(loader, "get_code") else None

    def get_source(self, fullname: str) -> str | None:
        loader: Any = self._own_loader()
        return loader.get_source(self.target) if hasattr(loader, "get_source") else None

    def _own_loader(self) -> object:
        spec = importlib.util.find_spec(self.target)
        return spec.loader if spec is not None else None


class _AliasFinder(MetaPathFinder):
    """Finds our modules under urllib3's names; stands just before Python's own finders.

    Agents put their finders at the front and ask the rest for the spec to wrap, so a
    finder further forward would hide the import from them.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> ModuleSpec | None:
        own_name = _target_of(fullname)
        if own_name is None:
            return None
        own_spec = _find_own_spec(own_name)
        if own_spec is None:
            return None
        spec = ModuleSpec(fullname, _AliasLoader(own_name), origin=own_spec.origin)
        spec.submodule_search_locations = own_spec.submodule_search_locations
        return spec

    def find_distributions(
        self, context: DistributionFinder.Context | None = None
    ) -> Iterable[Distribution]:
        """Answer ``importlib.metadata`` about urllib3, unless it asks for given directories."""
        asked = vars(context) if context is not None else {}
        name = asked.get("name")
        if "path" in asked or (name is not None and name.lower() != ALIAS):
            return ()
        from ._alias_metadata import AliasDistribution

        return (AliasDistribution(),)


def _find_own_spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        # `urllib3.exceptions.x`: a parent that is no package.  Other names are real faults.
        if error.name is not None and _is_under(name, error.name):
            return None
        raise


class _State:
    """What is in force in this process, guarded by ``lock``."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.finder: _AliasFinder | None = None
        self.displaced: dict[str, Any] = {}
        self.displaced_requests_attribute: types.ModuleType | None = None


_state = _State()


def install_as_urllib3(*, force: bool = False) -> None:
    """Make ``import urllib3`` and every submodule of it give this package.

    In this process only; calling it again changes nothing.  ``uninstall_as_urllib3()``
    undoes it.

    :param force: alias even though modules hold classes of the real urllib3; those
        modules go on with the real one.
    :raises AliasError: the real urllib3 is imported and held by other modules.
    """
    with _state.lock:
        real = _real_modules()
        if real and not force:
            holders = _holders_of(real)
            if holders:
                raise AliasError(holders)
        _displace(real)
        if _state.finder is None:
            _state.finder = _AliasFinder()
        if _state.finder not in sys.meta_path:
            sys.meta_path.insert(_position(), _state.finder)
        for suffix in LOADED_BY_IMPORT:
            importlib.import_module(ALIAS + suffix)
        _import_aliases_of_loaded_modules()
        _alias_requests_copies()


def uninstall_as_urllib3() -> None:
    """Undo ``install_as_urllib3()``: the real urllib3's modules are what they were.

    Modules that imported urllib3 in the meantime keep what they have.
    """
    with _state.lock:
        if _state.finder is None:
            return
        if _state.finder in sys.meta_path:
            sys.meta_path.remove(_state.finder)
        _state.finder = None
        for name in _names_under(ALIAS):
            del sys.modules[name]
        if any(_is_under(name, REQUESTS_COPY) for name in _state.displaced):
            for name in _names_under(REQUESTS_COPY):
                del sys.modules[name]
        sys.modules.update(_state.displaced)
        _state.displaced.clear()
        _set_requests_attribute(_state.displaced_requests_attribute)
        _state.displaced_requests_attribute = None


def _names_under(prefix: str) -> list[str]:
    return [name for name in list(sys.modules) if _is_under(name, prefix)]


def _real_modules() -> dict[str, Any]:
    """What ``sys.modules`` has under urllib3's names and is not ours, by name."""
    names = [name for prefix in PREFIXES for name in _names_under(prefix)]
    return {name: sys.modules[name] for name in names if not _is_ours(sys.modules[name])}


def _holders_of(real: dict[str, Any]) -> list[str]:
    """Names of the modules that hold a module, class, function or object of ``real``.

    A module that has several names is one holder, under its first name: multiprocessing
    enters ``__main__`` as ``__mp_main__``, too.
    """
    identities = {id(module) for module in real.values()}
    seen = set(identities)
    holders = []
    for name, module in list(sys.modules.items()):
        if id(module) in seen or not isinstance(module, types.ModuleType):
            continue
        seen.add(id(module))
        if _is_under(name, PACKAGE) or _is_ours(module):
            continue
        # A copy: module dicts change while other threads import.
        values = list(vars(module).values())
        if any(id(value) in identities or _comes_from_urllib3(value) for value in values):
            holders.append(name)
    return sorted(holders)


def _comes_from_urllib3(value: object) -> bool:
    # Only type() and the type's own dictionary are looked at: attribute access on lazy
    # proxies would import things.
    if isinstance(value, types.FunctionType):
        return _is_under(str(value.__module__), ALIAS)
    cls = value if isinstance(value, type) else type(value)
    return any(_is_under(str(base.__dict__.get("__module__")), ALIAS) for base in cls.__mro__)


def _displace(real: dict[str, Any]) -> None:
    for name, module in real.items():
        _state.displaced[name] = module
        del sys.modules[name]


def _position() -> int:
    """Index in ``sys.meta_path`` before Python's own finders, behind everyone else's."""
    own = (BuiltinImporter, FrozenImporter, PathFinder)
    for index, finder in enumerate(sys.meta_path):
        if finder in own:
            return index
    return len(sys.meta_path)


def _import_aliases_of_loaded_modules() -> None:
    for name in _names_under(PACKAGE):
        # `pool.__main__` is the running program, under another name.
        if not name.endswith(".__main__") and _is_ours(sys.modules[name]):
            importlib.import_module(ALIAS + name[len(PACKAGE) :])


def _alias_requests_copies() -> None:
    """Point requests' copies, made from the real urllib3 before a forced alias, at us."""
    if not any(_is_under(name, REQUESTS_COPY) for name in _state.displaced):
        return
    for name in _names_under(ALIAS):
        sys.modules[REQUESTS_COPY + name[len(ALIAS) :]] = sys.modules[name]
    packages = sys.modules.get(REQUESTS_COPY.rpartition(".")[0])
    if _state.displaced_requests_attribute is None and packages is not None:
        _state.displaced_requests_attribute = vars(packages).get(ALIAS)
    _set_requests_attribute(sys.modules[ALIAS])


def _set_requests_attribute(module: types.ModuleType | None) -> None:
    packages = sys.modules.get(REQUESTS_COPY.rpartition(".")[0])
    if packages is not None and module is not None:
        setattr(packages, ALIAS, module)
