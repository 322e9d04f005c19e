"""A server without a model, with one key that has limits."""

from typing import Any

import httpx
from fastapi import FastAPI

from server.api.auth import Authenticator
from server.api.error_handlers import add_error_handlers
from server.api.gate import Gate
from server.api.gated_paths import GATED_PATHS, GENERATING_PATHS
from server.api.middleware import RequestId
from server.api.rate_limits.guard import KeyGuard
from server.api.rate_limits.limiter import RateLimiter
from server.api.routes import chat, completions, messages, responses, tokenize
from server.api.runtime import Runtime
from server.keys.key import ApiKey
from server.keys.key_ring import KeyRing
from server.lifecycle import Lifecycle
from server.telemetry.metrics import Metrics
from tests.server.api.runtime import build_runtime
from tests.server.keys.samples import build_key

SECRET = "secret"
MAX_BODY_BYTES = 100_000
# The least that each path takes, without the model's name.
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2},
    "/v1/messages/count_tokens": {"messages": [{"role": "user", "content": "Hi"}]},
    "/tokenize": {"prompt": "Hi"},
    "/detokenize": {"tokens": [5]},
}


def build_limited_key(**limits: Any) -> ApiKey:
    """Return a key `alice` that may use the model `m`."""
    return build_key("alice", SECRET, models=["m"], **limits)


class KeyedServer:
    """A server whose key has no image tokens left, if these are limited."""

    def __init__(self, metrics: Metrics, key: ApiKey) -> None:
        self.lifecycle = Lifecycle(1)
        self.lifecycle.mark_ready()
        self.app = FastAPI()
        self.runtime: Runtime = build_runtime(self.lifecycle, metrics, [])
        self.runtime.authenticator = Authenticator(KeyRing([], [key]))
        self.app.state.runtime = self.runtime
        self.limiter = RateLimiter(metrics.keys.add_refusal)
        meter = self.limiter.start(key, generates=True)
        meter.charge_image_tokens(1000)
        meter.take_back()
        meter.release()
        for routes in (chat, completions, responses, messages, tokenize):
            self.app.include_router(routes.router)
        add_error_handlers(self.app)
        self.app.add_middleware(
            Gate,
            paths=GATED_PATHS,
            authenticator=self.runtime.authenticator,
            keys=KeyGuard(self.limiter, metrics.keys, GENERATING_PATHS),
            admission=self.runtime.admission,
            max_body_bytes=MAX_BODY_BYTES,
            refusals=self.runtime.refusals,
            early_returns=self.runtime.early_returns,
        )
        self.app.add_middleware(RequestId)

    async def send(self, path: str, **request: Any) -> httpx.Response:
        """Send a request with the key."""
        transport = httpx.ASGITransport(self.app)
        headers = {"authorization": f"Bearer {SECRET}", **request.pop("headers", {})}
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(path, headers=headers, **request)

    async def post(self, path: str, messages: Any, model: str = "m") -> httpx.Response:
        """Send a conversation."""
        return await self.send(path, json={"model": model, "messages": messages})
