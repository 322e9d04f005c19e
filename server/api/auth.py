"""Who asks: API keys, and the tenant that each stands for."""

import hmac
from collections.abc import Iterable

from blake3 import blake3

from server.errors import Unauthorized


class Authenticator:
    """Checks the bearer token of a request; without any keys everybody may ask."""

    def __init__(self, api_keys: Iterable[str]) -> None:
        self._tenants = [_tenant(key) for key in api_keys]

    def tenant(self, authorization: str | None) -> str:
        """Return the name of whoever sent this `Authorization` header, empty without a token.

        Tokens name tenants also where none is asked for: then whatever stands in front of the
        server may have checked them. Raises `Unauthorized` (401).
        """
        scheme, _, token = (authorization or "").partition(" ")
        tenant = _tenant(token.strip()) if scheme.lower() == "bearer" and token.strip() else ""
        # Digests, each of them compared in full: time tells nothing about a key.
        known = [hmac.compare_digest(tenant, each) for each in self._tenants]
        if self._tenants and not any(known):
            raise Unauthorized("The API key is missing or wrong.")
        return tenant


def _tenant(key: str) -> str:
    return blake3(key.encode()).hexdigest()
