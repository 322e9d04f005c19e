"""Pages of other origins are refused, and hosts that the server is not."""

import httpx
import pytest
from starlette.responses import PlainTextResponse

from server.api.browsers.hosts import KnownHosts
from server.api.browsers.outermost import add_outermost
from server.telemetry.metrics import Metrics
from server.telemetry.refusal_log import RefusalLog
from server.telemetry.refusals import RequestRefusals

APP = "https://app.example.com"


async def ask(
    headers: dict[str, str],
    *,
    hosts: KnownHosts | None = None,
    origins: tuple[str, ...] = (),
    method: str = "POST",
) -> httpx.Response:
    """Send a request through the layers."""
    refusals = RequestRefusals(Metrics(), RefusalLog())
    app = add_outermost(PlainTextResponse("ok"), hosts or KnownHosts(), origins, refusals)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        return await client.request(method, "/", headers=headers)


def refusal(response: httpx.Response) -> str:
    """Return the code of a refusal, an empty string for a response."""
    assert response.headers["x-request-id"]
    return "" if response.text == "ok" else str(response.json()["error"]["code"])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://localhost:8000"},
        {"origin": "HTTP://LocalHost:8000"},
        {"origin": "http://[::1]:8000", "host": "[::1]:8000"},
        {"origin": "http://localhost", "host": "localhost:80"},
        {"origin": "https://llava.example.com", "host": "llava.example.com"},
        {"origin": "https://llava.example.com", "host": "llava.example.com:443"},
        {"origin": "https://llava.example.com", "x-forwarded-host": "a.b, llava.example.com"},
        {"origin": "https://llava.example.com", "sec-fetch-site": "same-origin"},
    ],
)
async def test_programs_and_its_own_page_pass(headers: dict[str, str]) -> None:
    assert refusal(await ask(headers)) == ""


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://elsewhere.example"},
        {"origin": "http://localhost:5173"},
        {"origin": "http://localhost"},
        {"origin": "http://127.0.0.1:8000"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "localhost:8000"},
        {"origin": "http://localhost:8000.elsewhere.example"},
        {"origin": "http://elsewhere.example", "sec-fetch-site": "same-site"},
        {"origin": "https://app.example.com.elsewhere.example"},
    ],
)
async def test_other_pages_are_refused(headers: dict[str, str], method: str) -> None:
    response = await ask(headers, origins=(APP,), method=method)
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers
    assert method == "HEAD" or refusal(response) == "forbidden_origin"
    assert method == "HEAD" or "--cors-allow-origins" in response.text


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:3000", "ftp://127.0.0.1:8000", "https://llava.example.com:8443"]
)
async def test_another_port_or_scheme_is_another_origin(origin: str) -> None:
    hosts = KnownHosts(("llava.example.com",), is_checked=True, bound_host="127.0.0.1")
    headers = {"host": "127.0.0.1:8000"}
    assert refusal(await ask({**headers, "origin": origin}, hosts=hosts)) == "forbidden_origin"
    for own in ("http://127.0.0.1:8000", "https://llava.example.com"):
        assert refusal(await ask({**headers, "origin": own}, hosts=hosts)) == ""


@pytest.mark.parametrize("origins", [(APP,), ("*",)])
async def test_allowed_pages_may_read_responses(origins: tuple[str, ...]) -> None:
    response = await ask({"origin": APP}, origins=origins)
    assert refusal(response) == ""
    assert response.headers["access-control-allow-origin"] in (APP, "*")
    exposed = response.headers["access-control-expose-headers"]
    assert {"x-request-id", "retry-after", "x-llava-affinity"} <= set(exposed.split(", "))


async def test_preflights_are_answered() -> None:
    asked = {
        "origin": APP,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,x-llava-affinity,x-stainless-lang",
        "access-control-request-private-network": "true",
    }
    response = await ask(asked, origins=(APP,), method="OPTIONS")
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == APP
    assert response.headers["access-control-allow-private-network"] == "true"
    assert "POST" in response.headers["access-control-allow-methods"]
    assert "x-stainless-lang" in response.headers["access-control-allow-headers"]
    assert (await ask(asked, method="OPTIONS")).status_code == 403


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:8000", "LOCALHOST.", "a.localhost", "llava", "127.0.0.1:8000"),
        *("[::1]:8000", "[::1]", "10.1.2.3", "llava.example.com", "a.b.example.org:80"),
    ],
)
async def test_known_hosts_pass(host: str) -> None:
    hosts = KnownHosts(("llava.example.com", "*.example.org"), is_checked=True)
    assert refusal(await ask({"host": host}, hosts=hosts)) == ""


@pytest.mark.parametrize(
    "host",
    [
        *(
            "elsewhere.example",
            "elsewhere.example:8000",
            "example.org",
            "localhost.elsewhere.example",
        ),
        *("llava.example.com.elsewhere.example", "127.0.0.1.elsewhere.example", "x@a.b", ":8000"),
        "127.0.0.1@elsewhere.example",
    ],
)
async def test_other_hosts_are_refused_where_they_are_checked(host: str) -> None:
    hosts = KnownHosts(("llava.example.com", "*.example.org"), is_checked=True)
    response = await ask({"host": host}, hosts=hosts)
    assert (response.status_code, refusal(response)) == (403, "forbidden_host")
    assert "--allowed-hosts" in response.text
    assert refusal(await ask({"host": host})) == ""
    assert refusal(await ask({"host": host}, hosts=KnownHosts(("*",), is_checked=True))) == ""


async def test_a_page_of_an_allowed_host_is_the_servers_own() -> None:
    hosts = KnownHosts(("*.example.com",))
    assert refusal(await ask({"origin": APP, "host": "llava"}, hosts=hosts)) == ""
    assert refusal(await ask({"origin": APP, "host": "llava"}, hosts=KnownHosts(("*",)))) != ""
