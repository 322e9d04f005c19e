"""The gate in front of the routes: refuses by key, size and load before a body is read."""

import asyncio
import json
from collections.abc import Collection
from functools import lru_cache
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from server.api.admission.admission import Admission
from server.api.admission.arrivals import Arrival
from server.api.admission.cost import estimate_unread_cost
from server.api.auth import Authenticator, Tenant, identify_client
from server.api.body_headers import check_body_headers
from server.api.early_returns import EarlyReturns
from server.api.error_response import build_body, build_error_response, is_messages_path
from server.api.gate_state import GateState
from server.api.rate_limits.counting import UNCOUNTED_STATUSES
from server.api.rate_limits.guard import KeyGuard
from server.api.scope import get_header, route_path
from server.errors import ApiError, BodyTooLarge, KeyLimitExceeded, TooManyRequests
from server.protocol.errors import build_error_body
from server.telemetry.refusals import RequestRefusals

# No limit has more digits; Python refuses to convert thousands of them.
MAX_DIGITS: Final = 20


class Gate:
    """ASGI middleware that lets requests for work pass only if they can be served.

    A refusal takes microseconds and reads no body: under overload, most responses are refusals.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        paths: Collection[str],
        authenticator: Authenticator,
        keys: KeyGuard,
        admission: Admission,
        max_body_bytes: int,
        refusals: RequestRefusals,
        early_returns: EarlyReturns,
    ) -> None:
        """`paths` are the ones whose POST requests cost work, as `RoutePath` spells them."""
        self._app = app
        self._paths = frozenset(paths)
        self._authenticator = authenticator
        self._keys = keys
        self._admission = admission
        self._max_body_bytes = max_body_bytes
        self._refusals = refusals
        self._early_returns = early_returns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if not self._guards(scope):
            await self._app(scope, receive, send)
            return
        try:
            tenant = self._authenticator.authenticate_scope(scope)
        except ApiError as error:
            await self._refuse(error, scope, receive, send)
            return
        # Depends on the previous refusal.
        delay_s = self._admission.get_refusal_delay_s(tenant.queue_key, scope["client"])
        send = self._keys.add_headers(tenant, scope, send)
        try:
            arrival = self._check(scope, tenant)
        except ApiError as error:
            if isinstance(error, KeyLimitExceeded):
                await self._early_returns.delay(error, tenant)
            elif error.status not in UNCOUNTED_STATUSES:
                self._keys.count(tenant)
            await self._refuse(error, scope, receive, send, delay_s)
            return
        try:
            with self._keys.start(tenant, scope, send) as (meter, counted_send):
                scope["state"]["gate"] = GateState(arrival, meter)
                await self._app(scope, receive, counted_send)
        finally:
            if arrival is not None:
                arrival.release()

    def _guards(self, scope: Scope) -> bool:
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        return is_post and route_path(scope) in self._paths

    def _check(self, scope: Scope, tenant: Tenant) -> Arrival | None:
        self._keys.check(tenant, scope)
        check_body_headers(scope)
        length = get_header(scope, b"content-length")
        body_bytes = int(length[:MAX_DIGITS]) if length.isdecimal() else 0
        if body_bytes > self._max_body_bytes:
            raise BodyTooLarge(
                f"The request body exceeds the limit of {self._max_body_bytes} bytes."
            )
        return self._admission.check(
            tenant.queue_key, scope["client"], estimate_unread_cost(body_bytes)
        )

    async def _refuse(
        self, error: ApiError, scope: Scope, receive: Receive, send: Send, delay_s: float = 0.0
    ) -> None:
        """`delay_s` is for refusals of the server, not for those by a limit of the key."""
        self._refusals.add(error.outcome, route_path(scope), *identify_client(scope))
        if type(error) is not TooManyRequests:
            await build_error_response(error)(scope, receive, send)
            return
        if delay_s:
            await asyncio.sleep(delay_s)
        # Under overload this is the hot path: no response object, no model.
        body = _encode_refusal(error.message)
        if is_messages_path(scope):
            body = json.dumps(build_body(error, scope)).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", str(error.retry_after).encode()),
        ]
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@lru_cache(maxsize=8)
def _encode_refusal(message: str) -> bytes:
    """Return the body of a 429, cached, since there are few messages."""
    return json.dumps(build_error_body(TooManyRequests(message))).encode()
