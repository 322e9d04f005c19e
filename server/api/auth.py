"""Authentication: API keys, and the tenant that each key stands for."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

from blake3 import blake3
from fastapi import Depends, Request
from starlette.types import Scope

from server.api.edge.limits import build_address_key
from server.api.scope import get_header
from server.errors import ApiKeyExpired, Unauthorized
from server.keys.key import ApiKey, has_expired
from server.keys.key_ring import KeyMatch, KeyRing

# Anthropic's clients send the key here.
API_KEY_HEADER: Final = b"x-api-key"


@dataclass(frozen=True, slots=True)
class Tenant:
    """The client that a request belongs to.

    `id` is a digest of its key's name, or of an unchecked key; it is empty without a key.
    `cache_partition` names its caches: no tenant uses another's unless the operator allows it.
    `address` is the client's, if known; `key` is set if it is one of the server's keys.
    """

    id: str
    address: str
    key: ApiKey | None
    cache_partition: str

    @property
    def key_name(self) -> str | None:
        """The name of its key, None without one of the server's keys."""
        return None if self.key is None else self.key.name

    @property
    def label(self) -> str | None:
        """The key in logs: its name, or the first digits of `id`; None without a key."""
        return self.key_name or self.id[:8] or None

    @property
    def queue_key(self) -> str:
        """The identity for fair queueing and memory shares: a known key, else the address.

        With unchecked keys a client could be as many tenants as it likes.
        """
        return self.key_name or build_address_key(self.address).hex()


def _now() -> datetime:
    return datetime.now(UTC)


class Authenticator:
    """Checks requests' keys against the server's; if the server has none, it accepts everybody."""

    def __init__(
        self, keys: KeyRing, *, share_caches: bool = False, now: Callable[[], datetime] = _now
    ) -> None:
        self._keys = keys
        self._share_caches = share_caches
        self._now = now

    def authenticate(
        self,
        authorization: str | None,
        client: tuple[str, int] | None = None,
        api_key: str | None = None,
    ) -> Tenant:
        """Return the tenant of an `Authorization` header, or else of `x-api-key`.

        A key names a tenant even if the server has no keys: a proxy in front may have checked it.
        Raises `Unauthorized` (401).
        """
        secret = _read_bearer_token(authorization or "") or (api_key or "").strip()
        address = client[0] if client else ""
        key = None if self._keys.is_open else self._check(self._keys.find(secret))
        tenant_id = _digest(f"name {key.name}" if key else f"key {secret}") if secret else ""
        return Tenant(tenant_id, address, key, "" if self._share_caches else tenant_id)

    def authenticate_scope(self, scope: Scope) -> Tenant:
        """Return the tenant of a request, looked up once. Raises `Unauthorized` (401)."""
        state = scope.setdefault("state", {})
        if "tenant" not in state:
            state["tenant"] = self.authenticate(
                get_header(scope, b"authorization"),
                scope["client"],
                get_header(scope, API_KEY_HEADER),
            )
        tenant: Tenant = state["tenant"]
        return tenant

    def _check(self, match: KeyMatch | None) -> ApiKey:
        """Return the key if it is valid. Only a client with its secret learns why it is not."""
        if match is None:
            raise Unauthorized(
                "The API key is missing or wrong: send 'Authorization: Bearer …' or 'x-api-key: …'."
            )
        if match.key.disabled:
            raise Unauthorized(f"The API key '{match.key.name}' was revoked: ask for another one.")
        if match.expires and has_expired(match.expires, self._now()):
            raise ApiKeyExpired(
                f"The API key '{match.key.name}' expired at"
                f" {match.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC: ask for another one."
            )
        return match.key


def identify_client(scope: Scope) -> tuple[str | None, str | None]:
    """Return the client's address and its key's name in logs, as far as known."""
    tenant: Tenant | None = scope.get("state", {}).get("tenant")
    client = scope.get("client")
    return client[0] if client else None, tenant.label if tenant else None


async def get_tenant(request: Request) -> Tenant:
    """Return the tenant of a request. Raises `Unauthorized` (401)."""
    authenticator: Authenticator = request.app.state.runtime.authenticator
    return authenticator.authenticate_scope(request.scope)


CurrentTenant = Annotated[Tenant, Depends(get_tenant)]


def _read_bearer_token(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _digest(text: str) -> str:
    return blake3(text.encode()).hexdigest()
