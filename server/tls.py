"""TLS from the settings, checked before anything is loaded."""

import ssl
from typing import Any

from server.settings import Settings


def build_tls_options(settings: Settings) -> dict[str, Any]:
    """Return uvicorn's options for TLS, empty without a certificate.

    Raises `OSError` if the files cannot be used.
    """
    if settings.ssl_certfile is None:
        return {}
    password = settings.ssl_keyfile_password
    options: dict[str, Any] = {
        "ssl_certfile": settings.ssl_certfile,
        "ssl_keyfile": settings.ssl_keyfile,
        "ssl_keyfile_password": None if password is None else password.get_secret_value(),
        "ssl_ca_certs": settings.ssl_ca_certs,
        "ssl_cert_reqs": settings.ssl_cert_reqs,
        "ssl_ciphers": settings.ssl_ciphers,
    }
    try:
        _load(options)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error  # without OpenSSL's source location
        raise OSError(
            f"the files of --ssl-… cannot be used: {reason}; give a certificate and its own key in"
            " PEM, and the key's password if it has one"
        ) from None
    return options


def _load(options: dict[str, Any]) -> None:
    """Load the files as uvicorn will do later, after the model is loaded.

    The password is a function: without one, OpenSSL would ask at the terminal.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        options["ssl_certfile"],
        options["ssl_keyfile"],
        lambda: options["ssl_keyfile_password"] or "",
    )
    if options["ssl_ca_certs"]:
        context.load_verify_locations(options["ssl_ca_certs"])
    if options["ssl_ciphers"]:
        context.set_ciphers(options["ssl_ciphers"])
