"""The composition root: builds everything once, in order of need."""

import asyncio
import gc
import multiprocessing
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from typing import Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from server import __version__
from server.api.auth import Authenticator
from server.api.body import BodyBudget
from server.api.body_parser import BodyParser
from server.api.edge.limits import ConnectionTable
from server.api.error_handlers import add_error_handlers
from server.api.event_stream import OutputBudget
from server.api.gate import Gate
from server.api.gated_paths import GATED_PATHS, GENERATING_PATHS
from server.api.key_reload import KeyReload
from server.api.key_required import KeyRequired
from server.api.limits import ApiLimits
from server.api.openapi import add_schemas
from server.api.rate_limits.guard import KeyGuard
from server.api.rate_limits.limiter import RateLimiter
from server.api.route_path import HeadAsGet, RoutePath
from server.api.routes import (
    chat,
    completions,
    docs,
    health,
    messages,
    models,
    page,
    responses,
    tokenize,
)
from server.api.routes import metrics as metrics_route
from server.api.runtime import Runtime
from server.api.shared_render import SharedRender
from server.capacity import KIB, MIB, build_admission
from server.checkpoint.config import Checkpoint, CheckpointError
from server.connection_limits import build_connection_limits
from server.engine.start_failure import EngineStartError, describe_error, explain_start_failure
from server.gauges import connect_gauges
from server.keys.key_ring import KeyRing
from server.lifecycle import Lifecycle, State
from server.loading import load_pipeline
from server.process.file_limit import watch_file_limit
from server.protocol.policy import RequestPolicy
from server.settings import Settings
from server.telemetry.logs import get_logger
from server.telemetry.metrics import Metrics
from server.telemetry.refusal_log import RefusalLog
from server.telemetry.refusals import RequestRefusals
from server.telemetry.tracing import start_tracing
from server.telemetry.usage_file import UsageFile
from server.telemetry.usage_log import UsageLog

log = get_logger(__name__)

ROUTES: Final = (
    *(chat, completions, responses, messages, tokenize),
    *(models, health, page, docs),
)
# Seconds for which `/ready` reports why the model could not be loaded, before the process exits.
LOAD_FAILURE_S: Final = 2.0


def create_app(
    settings: Settings,
    checkpoint: Checkpoint,
    lifecycle: Lifecycle,
    announce: Callable[[str], None],
    keys: KeyRing,
    usage_file: UsageFile | None = None,
) -> FastAPI:
    """Build the application. The model loads once the application runs.

    Until then the server is live but not ready; afterwards `announce` is called with the model's
    name. What requests use is logged to `usage_file`.
    """
    names = settings.served_model_names or (checkpoint.path.name,)
    metrics = Metrics(_list_paths(), (*names, *settings.lora_adapters), settings.replica_name)
    limiter = RateLimiter(metrics.keys.add_refusal)
    refusal_log = RefusalLog()
    runtime = Runtime(
        model_name=names[0],
        aliases=names[1:],
        policy=RequestPolicy(
            ignore_unknown=settings.unknown_parameters == "ignore",
            trust_chat_template=settings.trust_request_chat_template,
            default_model=None if settings.lora_adapters else names[0],
        ),
        adapters=tuple(settings.lora_adapters),
        max_model_len=settings.max_model_len or checkpoint.text.max_position_embeddings,
        takes_video=checkpoint.video is not None,
        created=int(time.time()),
        lifecycle=lifecycle,
        connections=ConnectionTable(build_connection_limits(settings)),
        admission=build_admission(settings, lifecycle, metrics, keys),
        authenticator=Authenticator(keys, share_caches=settings.share_caches),
        metrics=metrics,
        limits=ApiLimits(
            max_body_bytes=settings.max_body_bytes,
            request_timeout_s=settings.request_timeout_s,
            max_stream_buffer_bytes=settings.max_stream_buffer_kib * KIB,
            video_frames=settings.video_frames,
            max_video_frames=settings.max_video_frames,
        ),
        output_budget=OutputBudget(int(settings.max_buffered_mib * MIB)),
        body_budget=BodyBudget(int(settings.max_buffered_mib * MIB), settings.max_queue_s),
        parser=BodyParser(),
        metrics_text=SharedRender(metrics.exposition),
        refusal_log=refusal_log,
        refusals=RequestRefusals(metrics, refusal_log),
        tracing=start_tracing(settings.otlp_endpoint),
        examples=checkpoint.path / "examples",
    )

    key_reload = KeyReload(keys, limiter, metrics.keys, runtime.model_names)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if settings.keys_file is not None:
                await stack.enter_async_context(key_reload.watch(settings.keys_file))
            if usage_file is not None:
                runtime.usage_log = UsageLog(usage_file, metrics.usage_lines_dropped)
                stack.push_async_callback(runtime.usage_log.close)
            lifetime = asyncio.create_task(_run(settings, checkpoint, runtime, stack, announce))
            stack.callback(asyncio.create_task(watch_file_limit()).cancel)
            yield
            if runtime.pipeline is None:
                # Still loading: without its engine process the loading thread ends.
                _end_children()
            lifetime.cancel()
            with suppress(asyncio.CancelledError):
                await lifetime

    app = FastAPI(
        title="llava-server",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,  # the route in `docs` does not block the event loop
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.runtime = runtime
    connect_gauges(settings, checkpoint, runtime)
    if settings.admin_port is None:
        app.include_router(metrics_route.router)
    for routes in ROUTES:
        app.include_router(routes.router)
    add_error_handlers(app)
    add_schemas(app)
    app.add_middleware(
        Gate,
        paths=GATED_PATHS,
        authenticator=runtime.authenticator,
        keys=KeyGuard(limiter, metrics.keys, GENERATING_PATHS),
        admission=runtime.admission,
        max_body_bytes=settings.max_body_bytes,
        refusals=runtime.refusals,
        early_returns=runtime.early_returns,
    )
    # Each layer wraps those before it.
    if settings.protect_all:
        app.add_middleware(
            KeyRequired, authenticator=runtime.authenticator, refusals=runtime.refusals
        )
    app.add_middleware(HeadAsGet)
    app.add_middleware(RoutePath)
    return app


async def _run(
    settings: Settings,
    checkpoint: Checkpoint,
    runtime: Runtime,
    stack: AsyncExitStack,
    announce: Callable[[str], None],
) -> None:
    """Load the model, announce it, and watch the engine until it dies or the server ends."""
    tracing = runtime.tracing
    try:
        with nullcontext() if tracing is None else tracing.trace_start():
            pipeline, engine = await load_pipeline(
                settings,
                checkpoint,
                runtime.model_name,
                runtime.metrics,
                stack,
                traces=tracing is not None,
            )
    except (CheckpointError, EngineStartError) as error:
        log.debug("loading failed", exc_info=True)
        runtime.lifecycle.fail(str(error), LOAD_FAILURE_S)
        return
    except Exception as error:
        log.debug("loading failed", exc_info=True)
        runtime.lifecycle.fail(explain_start_failure(describe_error(error)), LOAD_FAILURE_S)
        return
    runtime.pipeline = pipeline
    runtime.max_model_len = engine.max_model_len
    # Loaded objects live as long as the process: keep them out of garbage collection, which stops
    # all requests while it runs.
    gc.collect()
    gc.freeze()
    runtime.lifecycle.mark_ready()
    announce(runtime.model_name)
    reason = await engine.wait_until_dead()
    # A signal to the process group also ends the engine, but only after its work is done.
    if runtime.lifecycle.state is not State.DRAINING or runtime.admission.held:
        runtime.lifecycle.fail(reason)


def _list_paths() -> list[str]:
    """Return the paths of all routes: the values that a metric's label may have."""
    return [
        route.path
        for routes in ROUTES
        for route in routes.router.routes
        if isinstance(route, APIRoute)
    ]


def _end_children() -> None:
    for child in multiprocessing.active_children():
        child.terminate()
