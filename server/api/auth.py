"""Authentication: API keys, and the tenant that each key stands for."""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

from blake3 import blake3
from fastapi import Depends, Request
from starlette.types import Scope

from server.api.edge.limits import build_address_key
from server.api.scope import get_header
from server.errors import Unauthorized

# Anthropic's clients send the key here.
API_KEY_HEADER: Final = b"x-api-key"


@dataclass(frozen=True, slots=True)
class Tenant:
    """The client that a request belongs to. `id` is a digest of the API key, empty without one.

    Images are cached and shared within one tenant only. `address` is the client's, where known;
    `is_known` tells that the key is one of the server's.
    """

    id: str = ""
    address: str = ""
    is_known: bool = False

    @property
    def fingerprint(self) -> str | None:
        """The first digits of `id`, to tell keys apart in logs; None without a key."""
        return self.id[:8] or None

    @property
    def queue_key(self) -> str:
        """What fair queueing and memory shares go by: a known key, else the address.

        A key that nobody checks would let a client be as many tenants as it likes.
        """
        return self.id if self.is_known else build_address_key(self.address).hex()


class Authenticator:
    """Checks keys of requests against the API keys; without any keys everybody may ask."""

    def __init__(self, api_keys: Iterable[str]) -> None:
        self._known_ids = [_digest(key) for key in api_keys]

    def authenticate(
        self,
        authorization: str | None,
        client: tuple[str, int] | None = None,
        api_key: str | None = None,
    ) -> Tenant:
        """Return the tenant of an `Authorization` header, or else of `x-api-key`.

        A key names a tenant even where no keys are set: a proxy in front of the server may have
        checked it. Raises `Unauthorized` (401).
        """
        key = _read_bearer_token(authorization or "") or (api_key or "").strip()
        address = client[0] if client else ""
        tenant_id = _digest(key) if key else ""
        # Every digest is compared in full: the time taken reveals nothing about a key.
        matches = [hmac.compare_digest(tenant_id, known) for known in self._known_ids]
        if self._known_ids and not any(matches):
            raise Unauthorized(
                "The API key is missing or wrong: send 'Authorization: Bearer …' or 'x-api-key: …'."
            )
        return Tenant(tenant_id, address, any(matches))

    def authenticate_scope(self, scope: Scope) -> Tenant:
        """Return the tenant of a request. Raises `Unauthorized` (401)."""
        authorization = get_header(scope, b"authorization")
        return self.authenticate(authorization, scope["client"], get_header(scope, API_KEY_HEADER))


async def get_tenant(request: Request) -> Tenant:
    """Return the tenant of a request, found by the gate if it passed there.

    Raises `Unauthorized` (401).
    """
    found: Tenant | None = getattr(request.state, "tenant", None)
    if found is not None:
        return found
    authenticator: Authenticator = request.app.state.runtime.authenticator
    return authenticator.authenticate_scope(request.scope)


CurrentTenant = Annotated[Tenant, Depends(get_tenant)]


def _read_bearer_token(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _digest(key: str) -> str:
    return blake3(key.encode()).hexdigest()
