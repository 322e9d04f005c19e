"""TLS as the settings ask for it, with a real handshake."""

import ssl
from typing import Any

import httpx
import pytest

from server.settings import Settings
from server.terminal.client import open_client
from server.terminal.errors import APIError
from server.tls import build_tls_options
from tests.server.api.edge.running import running_edge
from tests.server.certificate import PASSWORD, write_certificate


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the settings of a certificate for localhost."""
    return write_certificate(tmp_path_factory.mktemp("tls"))


def options(files: dict[str, str], **others: Any) -> dict[str, Any]:
    """Return uvicorn's options for settings."""
    return build_tls_options(Settings.model_validate({**files, **others}))


def test_none_without_a_certificate() -> None:
    assert options({}) == {}


def test_a_client_that_trusts_the_certificate_is_answered(files: dict[str, str]) -> None:
    trusting = ssl.create_default_context(cafile=files["ssl_certfile"])
    with running_edge(tls=options(files)) as edge:
        url = f"https://localhost:{edge.address[1]}/echo"
        assert httpx.post(url, content=b"hi", verify=trusting).text == "hi"
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.post(url)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(url.replace("https", "http"))


def test_clients_may_have_to_show_a_certificate(files: dict[str, str]) -> None:
    required = {"ssl_ca_certs": files["ssl_certfile"], "ssl_cert_reqs": "required"}
    trusting = ssl.create_default_context(cafile=files["ssl_certfile"])
    with running_edge(tls=options(files, **required)) as edge:
        url = f"https://localhost:{edge.address[1]}/echo"
        with pytest.raises(httpx.TransportError):
            httpx.post(url, verify=trusting)
        trusting.load_cert_chain(files["ssl_certfile"], files["ssl_keyfile"], PASSWORD)
        assert httpx.post(url, content=b"hi", verify=trusting).text == "hi"


@pytest.mark.parametrize(
    "wrong",
    [
        {"ssl_keyfile_password": None},
        {"ssl_keyfile_password": "wrong"},
        {"ssl_keyfile": None},
        {"ssl_certfile": __file__},
        {"ssl_ca_certs": __file__},
        {"ssl_ciphers": "none such"},
    ],
)
def test_what_cannot_be_used_is_told_at_once(
    wrong: dict[str, str | None], files: dict[str, str]
) -> None:
    with pytest.raises(OSError, match="the files of --ssl-… cannot be used: "):
        options({**files, **wrong})  # type: ignore[dict-item]


def test_the_chat_trusts_a_certificate_that_is_named(
    files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_edge(tls=options(files)) as edge:

        def ask() -> str:
            url = f"https://localhost:{edge.address[1]}"
            with (
                open_client(url, None, 10, report=print) as client,
                pytest.raises(APIError) as caught,
            ):
                client.list_models()  # of a server that is none of ours
            return str(caught.value)

        assert "is not trusted" in ask()
        assert "SSL_CERT_FILE" in ask()
        monkeypatch.setenv("SSL_CERT_FILE", files["ssl_certfile"])
        assert "is not trusted" not in ask()
