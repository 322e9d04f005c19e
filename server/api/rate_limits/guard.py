"""Checks requests against the limits of their API key, and reports the limits to the client."""

from collections.abc import Awaitable, Collection, Iterator
from contextlib import contextmanager

from starlette.types import Message, Scope, Send

from server.api.auth import Tenant
from server.api.error_response import is_messages_path
from server.api.rate_limits.counting import RequestCount
from server.api.rate_limits.headers import (
    Header,
    build_anthropic_headers,
    build_openai_headers,
)
from server.api.rate_limits.limiter import RateLimiter
from server.api.scope import route_path
from server.telemetry.key_metrics import KeyMetrics
from server.telemetry.token_meter import UNMETERED, TokenMeter


class KeyGuard:
    """The gate's checks of keys' limits. Requests without one of the server's keys pass."""

    def __init__(
        self, limiter: RateLimiter, metrics: KeyMetrics, generating_paths: Collection[str]
    ) -> None:
        """Only requests to `generating_paths` are subject to the limit of output tokens."""
        self._limiter = limiter
        self._metrics = metrics
        self._generating_paths = frozenset(generating_paths)

    def check(self, tenant: Tenant, scope: Scope) -> None:
        """Refuse a request that would exceed a limit. Raises `KeyLimitExceeded` (429)."""
        if tenant.key is not None:
            self._limiter.check(tenant.key, generates=self._generates(scope))

    def count(self, tenant: Tenant) -> None:
        """Count a request that passed `check` and is refused for a fault of its own."""
        if tenant.key is not None:
            self._limiter.count(tenant.key)
            self._metrics.requests.labels(tenant.key.name).inc()

    @contextmanager
    def start(self, tenant: Tenant, scope: Scope, send: Send) -> Iterator[tuple[TokenMeter, Send]]:
        """Count a request that passed `check`, while it runs.

        Yield its meter, and a `send` that sees whether the request is refused after all.
        """
        if tenant.key is None:
            yield UNMETERED, send
            return
        meter = self._limiter.start(tenant.key, generates=self._generates(scope))
        count = RequestCount(meter, self._metrics.requests.labels(tenant.key.name))
        try:
            yield meter, count.watch(send)
        finally:
            count.end()
            meter.release()

    def add_headers(self, tenant: Tenant, scope: Scope, send: Send) -> Send:
        """Return a `send` that adds the headers of the key's limits, if it has any."""
        key = tenant.key
        if key is None or not key.rate_limits:
            return send

        def send_with_headers(message: Message) -> Awaitable[None]:
            # No coroutine of its own: it is called for each token.
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._build(key.name, scope)]
            return send(message)

        return send_with_headers

    def _build(self, name: str, scope: Scope) -> Iterator[Header]:
        build = build_anthropic_headers if is_messages_path(scope) else build_openai_headers
        return build(self._limiter.states(name))

    def _generates(self, scope: Scope) -> bool:
        return route_path(scope) in self._generating_paths
