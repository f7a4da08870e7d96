"""The warnings of the package, which users find in `pool.exceptions`.

Here because their filters are set when the package is imported, and `pool.exceptions`
needs `http.client`.
"""

from __future__ import annotations

_HOME = __name__.replace("_warnings", "exceptions")


class HTTPWarning(Warning):
    """Base of all warnings of this package."""

    __module__ = _HOME


class SecurityWarning(HTTPWarning):
    """Something weakens security."""

    __module__ = _HOME


class InsecureRequestWarning(SecurityWarning):
    """An https request without certificate verification."""

    __module__ = _HOME


class NotOpenSSLWarning(SecurityWarning):
    """The ssl module was built with a library other than OpenSSL."""

    __module__ = _HOME


class SystemTimeWarning(SecurityWarning):
    """The clock is obviously wrong, so certificates will look invalid."""

    __module__ = _HOME


class InsecurePlatformWarning(SecurityWarning):
    """The platform's TLS lacks something needed for safety."""

    __module__ = _HOME


class DependencyWarning(HTTPWarning):
    """An optional dependency is missing."""

    __module__ = _HOME
