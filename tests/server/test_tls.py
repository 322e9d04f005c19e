"""TLS as the settings ask for it, with a real handshake."""

import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from server.settings import Settings
from server.terminal.client import open_client
from server.terminal.errors import APIError
from server.tls import build_tls_options
from tests.server.api.edge.running import running_edge

PASSWORD = "secret"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write a self-signed certificate for localhost and its key, and return their settings."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    encryption = BestAvailableEncryption(PASSWORD.encode())
    (folder / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    )
    return {
        "ssl_certfile": str(folder / "cert.pem"),
        "ssl_keyfile": str(folder / "key.pem"),
        "ssl_keyfile_password": PASSWORD,
    }


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
