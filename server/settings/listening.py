"""Listening: address, TLS, allowed web pages and host names."""

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, FilePath, SecretStr
from pydantic_settings import BaseSettings

from server.settings.types import CertReqs, HostPatterns, Origins, check_root_path


class ListeningSettings(BaseSettings):
    """Listening: address, TLS, allowed web pages and host names."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        8000, description="port to listen on; 0 takes a free one"
    )
    admin_port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        None,
        description="separate port for /metrics, /health, /startup, /ready and /version, which"
        " need no key there; --port then has no /metrics; default: none",
    )
    admin_host: str = Field("127.0.0.1", description="address that the admin port listens on")
    uds: Path | None = Field(
        None, description="Unix domain socket to listen on, instead of host and port"
    )
    root_path: Annotated[str, AfterValidator(check_root_path)] = Field(
        "", description="path under which a proxy offers the server, such as /llava"
    )
    ssl_certfile: FilePath | None = Field(
        None, description="certificate chain in PEM; with it the server speaks TLS only"
    )
    ssl_keyfile: FilePath | None = Field(
        None, description="the certificate's key in PEM; default: the one in the certificate's file"
    )
    ssl_keyfile_password: SecretStr | None = Field(
        None,
        description="password of the key; better set as LLAVA_SSL_KEYFILE_PASSWORD, since other"
        " users can read command lines",
    )
    ssl_ca_certs: FilePath | None = Field(
        None,
        description="certificate authorities in PEM that must have signed clients' certificates",
    )
    ssl_cert_reqs: CertReqs = Field(
        ssl.CERT_NONE,
        description="whether clients must show a certificate: none, optional or required",
    )
    ssl_ciphers: str | None = Field(
        None, description="OpenSSL's list of ciphers for TLS 1.2; default: Python's"
    )
    cors_allow_origins: Origins = Field(
        (),
        description="origins of web pages that may use the server, such as"
        " https://app.example.com, comma-separated, or *; default: its own only",
    )
    allowed_hosts: HostPatterns = Field(
        (),
        description="host names that requests may use, such as llava.example.com or"
        " *.example.com, comma-separated, or *; default: on a loopback address only"
        " local names and addresses, elsewhere any",
    )
