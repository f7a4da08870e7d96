"""The suites: which sdist (pinned), which of its tests, what they need around them.

`venv` names a virtual environment that `setup_venvs.sh` makes; `quick` is the part that
takes seconds; `remove` takes the sdist's own package away, so that the installed one is used.
"""

from __future__ import annotations

from typing import Any

# Plugins are named per suite in the second environment, where autoload is off.
_TIMEOUT, _HTTPBIN = "pytest_timeout", "pytest_httpbin.plugin"

SUITES: dict[str, dict[str, Any]] = {
    "urllib3": {
        "dist": "urllib3",
        "version": "2.8.0",
        "sha256": "63bf2ead4c879426ebf22ef2a781eeb4aa3b4ae798a0435506f8687fd5bb9b63",
        "venv": "conformance",
        "remove": ["src"],
        "shims": ["hypercorn_shim"],
        "tests": ["test"],
        "quick": [
            "test/contrib/test_socks.py",
            "test/test_collections.py",
            "test/test_compatibility.py",
            "test/test_connection.py",
            "test/test_connectionpool.py",
            "test/test_exceptions.py",
            "test/test_fields.py",
            "test/test_filepost.py",
            "test/test_http2_connection.py",
            "test/test_no_ssl.py",
            "test/test_poolmanager.py",
            "test/test_proxymanager.py",
            "test/test_queue_monkeypatch.py",
            "test/test_response.py",
            "test/test_retry.py",
            "test/test_ssl.py",
            "test/test_ssltransport.py",
            "test/test_util.py",
            "test/test_wait.py",
            "test/with_dummyserver/test_chunked_transfer.py",
            "test/with_dummyserver/test_connection.py",
            "test/with_dummyserver/test_poolmanager.py",
        ],
    },
    "requests": {
        "dist": "requests",
        "version": "2.34.2",
        "sha256": "f288924cae4e29463698d6d60bc6a4da69c89185ad1e0bcc4104f584e960b9ed",
        "venv": "conformance-ds",
        "remove": ["src"],
        "tests": ["tests"],
        "quick": ["tests/test_adapters.py", "tests/test_lowlevel.py", "tests/test_packages.py"],
        "plugins": [_TIMEOUT, _HTTPBIN, "pytest_mock"],
        "pytest_args": ["-o", "addopts="],
    },
    "vcrpy": {
        "dist": "vcrpy",
        "version": "9.4.2",
        "sha256": "2ffc051adf50d9a83326c8d365c29929cd6788cef647326b55502b59276d443a",
        "venv": "conformance-ds",
        "remove": ["vcr"],
        "tests": ["tests"],
        "quick": ["tests/unit"],
        "plugins": [_TIMEOUT, _HTTPBIN, "pytest_asyncio.plugin", "pytest_aiohttp.plugin"],
        "pytest_args": ["-m", "not online", "--ignore=tests/integration/test_tornado.py"],
        # As the project's own runner does it, and a file that its tests upload.
        "env": {"REQUESTS_CA_BUNDLE": "{site}/pytest_httpbin/certs/client.pem"},
        "write": {".editorconfig": "root = true\n" * 20},
    },
    "botocore": {
        "dist": "botocore",
        "version": "1.44.5",
        "sha256": "a988f39e3a4484def0b8010f41128f71157da0515a4804fccce4739aa8f216da",
        "venv": "conformance-ds",
        "remove": ["botocore"],
        "tests": [
            "tests/unit/test_awsrequest.py",
            "tests/unit/test_http_session.py",
            "tests/unit/test_response.py",
            "tests/unit/test_http_client_exception_mapping.py",
            "tests/unit/test_httpchecksum.py",
            "tests/unit/test_endpoint.py",
            "tests/unit/test_exceptions.py",
            "tests/functional/test_utils.py",
            "tests/functional/test_stub.py",
            "tests/functional/test_retry.py",
        ],
        "quick": ["tests/unit/test_awsrequest.py", "tests/unit/test_http_session.py"],
        "plugins": [_TIMEOUT],
        "env": {
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-west-2",
        },
    },
}
