"""A runtime without a model, for tests of the routes."""

from starlette.types import ASGIApp, Receive, Scope, Send

from server.api.admission.admission import Admission
from server.api.admission.cost import Cost
from server.api.auth import Authenticator
from server.api.body import BodyBudget
from server.api.body_parser import BodyParser
from server.api.edge.limits import ConnectionLimits, ConnectionTable
from server.api.event_stream import OutputBudget
from server.api.gate_state import GateState
from server.api.gated_paths import GENERATING_PATHS
from server.api.limits import ApiLimits
from server.api.rate_limits.guard import KeyGuard
from server.api.rate_limits.limiter import RateLimiter
from server.api.runtime import Runtime
from server.api.shared_render import SharedRender
from server.keys.key_ring import KeyRing
from server.lifecycle import Lifecycle
from server.telemetry.metrics import Metrics
from server.telemetry.refusal_log import RefusalLog
from server.telemetry.refusals import RequestRefusals
from server.telemetry.token_meter import UNMETERED


def build_key_guard(metrics: Metrics) -> KeyGuard:
    """Return what holds requests against the limits of their keys, on every path."""
    return KeyGuard(RateLimiter(metrics.keys.add_refusal), metrics.keys, GENERATING_PATHS)


class PassedGate:
    """ASGI middleware that lets every request pass, as a gate without limits would."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        scope.setdefault("state", {})["gate"] = GateState(None, UNMETERED)
        await self._app(scope, receive, send)


def build_runtime(lifecycle: Lifecycle, metrics: Metrics, api_keys: list[str]) -> Runtime:
    """Return the runtime of a server with one permit."""
    refusal_log = RefusalLog()
    return Runtime(
        model_name="m",
        adapters=(),
        max_model_len=8,
        created=0,
        lifecycle=lifecycle,
        connections=ConnectionTable(ConnectionLimits()),
        admission=Admission(lifecycle, capacity=Cost(1, 1024), max_queue_s=1, metrics=metrics),
        authenticator=Authenticator(KeyRing(api_keys)),
        metrics=metrics,
        limits=ApiLimits(
            max_body_bytes=100_000,
            request_timeout_s=10,
            max_stream_buffer_bytes=10_000,
            video_frames=8,
            max_video_frames=64,
        ),
        output_budget=OutputBudget(1_000_000),
        body_budget=BodyBudget(1_000_000, 1),
        parser=BodyParser(),
        metrics_text=SharedRender(metrics.exposition),
        refusal_log=refusal_log,
        refusals=RequestRefusals(metrics, refusal_log),
    )
