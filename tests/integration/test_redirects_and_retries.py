"""Redirects with what they keep and strip; retries, their waits and their history."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.scripted import Close, Expect, Pause, Reset, Send, reply

SECRETS = {"Authorization": "Basic secret", "Cookie": "a=b", "Proxy-Authorization": "Basic px"}


def shown(response: Any) -> dict[str, str]:
    """What the /headers page of nginx says that it received."""
    return dict(line.split("=", 1) for line in response.data.decode().splitlines())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_of_a_get(manager: Any, nginx: Any, status: int) -> None:
    url = nginx.url(f"/redirect/{status}?to=/small.txt")
    response = manager.request("GET", url)
    assert response.data == b"a small page\n"
    assert response.geturl().endswith("/small.txt")
    assert [entry.status for entry in response.retries.history] == [status]


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [
        (301, "POST", "data"),
        (302, "POST", "data"),
        (303, "GET", ""),
        (307, "POST", "data"),
        (308, "POST", "data"),
    ],
)
def test_redirect_of_a_post(manager: Any, echo: Any, status: int, method: str, body: str) -> None:
    url = echo.url("/redirect", to="/inspect", status=status)
    seen = manager.request("POST", url, body=b"data", headers={"X-Kept": "1"}).json()
    names = {name.lower() for name, _ in seen["headers"]}
    assert (seen["method"], seen["body"]) == (method, body)
    assert "x-kept" in names
    if status == 303:
        assert not names & {"content-length", "content-type", "transfer-encoding"}


@pytest.fixture
def half_read_file(tmp_path: Any) -> Any:
    path = tmp_path / "body"
    path.write_bytes(b"skipped and sent")
    with path.open("rb") as handle:
        handle.seek(12)
        yield handle


def test_redirect_rewinds_a_file(impl: Any, echo: Any, half_read_file: Any) -> None:
    with impl.HTTPConnectionPool("127.0.0.1", echo.server_port) as pool:
        target = "/redirect?to=/inspect&status=307"
        assert pool.request("POST", target, body=half_read_file).json()["body"] == "sent"


def test_redirect_by_the_manager_rewinds_a_file(
    subject: Any, echo: Any, half_read_file: Any
) -> None:
    """urllib3's manager sends an empty body to the second server."""
    with subject.PoolManager() as manager:
        url = echo.url("/redirect", to="/inspect", status=307)
        assert manager.request("POST", url, body=half_read_file).json()["body"] == "sent"


def test_redirect_not_followed(manager: Any, nginx: Any) -> None:
    response = manager.request("GET", nginx.url("/redirect/302?to=/small.txt"), redirect=False)
    assert response.status == 302
    assert response.get_redirect_location().endswith("/small.txt")
    assert b"302" in response.data


def test_redirect_limit(impl: Any, manager: Any, nginx: Any) -> None:
    with pytest.raises(impl.exceptions.MaxRetryError) as caught:
        manager.request("GET", nginx.url("/loop"), retries=impl.Retry(redirect=3))
    assert str(caught.value.reason) == "too many redirects"
    response = manager.request(
        "GET", nginx.url("/loop"), retries=impl.Retry(redirect=3, raise_on_redirect=False)
    )
    assert response.status == 302


def test_same_origin_keeps_credentials(manager: Any, nginx: Any) -> None:
    url = nginx.url("/redirect/302?to=/headers")
    seen = shown(manager.request("GET", url, headers=SECRETS))
    assert seen["authorization"] == "Basic secret"
    assert seen["cookie"] == "a=b"


@pytest.mark.parametrize("other", ["host", "port", "scheme"])
def test_other_origin_gets_no_credentials(impl: Any, nginx: Any, other: str) -> None:
    """Scheme, host and port make the origin: each of them alone counts."""
    target = {
        "host": nginx.url("/headers", host="localhost"),
        "port": nginx.url("/headers", site="endless"),
        "scheme": nginx.url("/headers", site="tls"),
    }[other]
    headers = {**{name.upper(): value for name, value in SECRETS.items()}, "X-Kept": "yes"}
    with impl.PoolManager(ca_certs=str(nginx.ca), headers=headers) as manager:
        seen = shown(manager.request("GET", nginx.url(f"/redirect/302?to={target}")))
    assert (seen["authorization"], seen["cookie"], seen["proxy-authorization"]) == ("", "", "")
    assert seen["x-kept"] == "yes"


def test_headers_to_strip_can_be_chosen(impl: Any, manager: Any, nginx: Any) -> None:
    target = nginx.url("/headers", host="localhost")
    retries = impl.Retry(remove_headers_on_redirect=["X-Kept"])
    url = nginx.url(f"/redirect/302?to={target}")
    headers = {"X-Kept": "1", "Authorization": "kept"}
    seen = shown(manager.request("GET", url, headers=headers, retries=retries))
    assert (seen["x-kept"], seen["authorization"]) == ("", "kept")


def test_pool_refuses_another_host(impl: Any, nginx: Any) -> None:
    target = nginx.url("/headers", host="localhost")
    with impl.HTTPConnectionPool("127.0.0.1", nginx.port()) as pool:
        response = pool.request("GET", f"/redirect/302?to={target}", redirect=False)
        assert response.status == 302
        with pytest.raises(impl.exceptions.HostChangedError):
            pool.request("GET", target, retries=1)


@pytest.mark.parametrize("location", ["http://[::1/", "http:///nowhere"])
def test_redirect_to_a_bad_url_is_a_library_error(
    subject: Any, scripted: Any, location: str
) -> None:
    server = scripted([Expect(), Send(reply(b"", f"Location: {location}", status="302 Found"))])
    with subject.PoolManager(timeout=5) as manager:
        with pytest.raises(subject.exceptions.HTTPError):
            manager.request("GET", server.url(), retries=2)


def test_status_retry_with_history(impl: Any, manager: Any, echo: Any, token: Any) -> None:
    url = echo.url("/flaky", key=token(), times=2)
    retries = impl.Retry(5, status_forcelist=[503])
    response = manager.request("GET", url, retries=retries)
    assert (response.status, response.data) == (200, b"3")
    history = response.retries.history
    assert [entry.status for entry in history] == [503, 503]
    assert {entry.method for entry in history} == {"GET"}
    assert response.retries.total == 3


def test_status_retry_exhausted(impl: Any, manager: Any, echo: Any, token: Any) -> None:
    retries = impl.Retry(2, status_forcelist=[500])
    with pytest.raises(impl.exceptions.MaxRetryError) as caught:
        manager.request(
            "GET", echo.url("/flaky", key=token(), times=9, status=500), retries=retries
        )
    assert isinstance(caught.value.reason, impl.exceptions.ResponseError)
    assert str(caught.value.reason) == "too many 500 error responses"
    quiet = impl.Retry(2, status_forcelist=[500], raise_on_status=False)
    url = echo.url("/flaky", key=token(), times=9, status=500)
    assert manager.request("GET", url, retries=quiet).status == 500


def test_post_is_not_retried_by_status(impl: Any, manager: Any, echo: Any, token: Any) -> None:
    key = token()
    retries = impl.Retry(5, status_forcelist=[503])
    url = echo.url("/flaky", key=key, times=2)
    assert manager.request("POST", url, retries=retries).status == 503
    assert echo.attempts[key] == 1


def test_retry_after_is_waited_for(impl: Any, manager: Any, echo: Any, token: Any) -> None:
    url = echo.url("/flaky", key=token(), times=1, retry_after=1)
    started = time.monotonic()
    assert manager.request("GET", url, retries=3).status == 200
    assert 0.9 < time.monotonic() - started < 10


def test_retry_after_can_be_ignored(impl: Any, manager: Any, echo: Any, token: Any) -> None:
    url = echo.url("/flaky", key=token(), times=1, retry_after=60)
    retries = impl.Retry(3, respect_retry_after_header=False)
    assert manager.request("GET", url, retries=retries).status == 503


def test_backoff_between_retries(impl: Any, manager: Any, echo: Any, token: Any) -> None:
    url = echo.url("/flaky", key=token(), times=3)
    retries = impl.Retry(5, status_forcelist=[503], backoff_factor=0.1)
    started = time.monotonic()
    assert manager.request("GET", url, retries=retries).data == b"4"
    # None before the first retry, then factor * 2 ** (n - 1) seconds: 0.2 and 0.4.
    assert 0.55 < time.monotonic() - started < 10


def test_nginx_busy_until_retries_end(manager: Any, nginx: Any) -> None:
    response = manager.request("GET", nginx.url("/busy"), retries=2)
    assert (response.status, len(response.retries.history)) == (503, 2)
    assert manager.request("GET", nginx.url("/busy"), retries=False).status == 503


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["closed", "reset"])
def test_lost_answer_of_a_get_is_asked_again(manager: Any, scripted: Any, end: Any) -> None:
    server = scripted([Expect(), end], [])
    assert manager.request("GET", server.url("/?token=again")).data == b"again"
    assert server.connections() == 2


def test_read_error_history(impl: Any, manager: Any, scripted: Any) -> None:
    server = scripted([Expect(), Close()])
    with pytest.raises(impl.exceptions.MaxRetryError) as caught:
        manager.request("GET", server.url(), retries=impl.Retry(2, read=1))
    assert isinstance(caught.value.reason, impl.exceptions.ProtocolError)
    assert server.connections() == 2


def test_read_timeout_is_retried(impl: Any, manager: Any, scripted: Any) -> None:
    server = scripted([Expect(), Pause(1.5)], [])
    response = manager.request("GET", server.url("/?token=t"), timeout=0.3, retries=1)
    assert response.data == b"t"
    assert isinstance(response.retries.history[0].error, impl.exceptions.ReadTimeoutError)
