"""The composition root: builds everything once, in order of need."""

import asyncio
import gc
import multiprocessing
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from server import __version__
from server.api.admission import Admission
from server.api.auth import Authenticator
from server.api.error_handlers import add_error_handlers
from server.api.middleware import BodyLimit, RequestId
from server.api.openapi import add_schemas
from server.api.routes import chat, completions, health, models, page, responses, tokenize
from server.api.runtime import Runtime
from server.checkpoint.config import Checkpoint, CheckpointError
from server.lifecycle import Lifecycle, State
from server.loading import load_pipeline
from server.settings import Settings
from server.telemetry.logs import get_logger
from server.telemetry.metrics import Metrics

log = get_logger(__name__)


def create_app(
    settings: Settings,
    checkpoint: Checkpoint,
    lifecycle: Lifecycle,
    announce: Callable[[str], None],
) -> FastAPI:
    """Build the application. The model loads once the application runs.

    Until then the server is live but not ready; afterwards `announce` is called with the model's
    name.
    """
    metrics = Metrics()
    runtime = Runtime(
        model_name=settings.served_model_name or checkpoint.path.name,
        adapters=tuple(settings.lora_adapters),
        max_model_len=settings.max_model_len or checkpoint.text.max_position_embeddings,
        created=int(time.time()),
        lifecycle=lifecycle,
        admission=Admission(
            lifecycle,
            limit=settings.max_concurrent_requests,
            retry_after_s=settings.retry_after_s,
            metrics=metrics,
        ),
        authenticator=Authenticator(key.get_secret_value() for key in settings.api_keys),
        metrics=metrics,
        examples=checkpoint.path / "examples",
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            lifetime = asyncio.create_task(_run(settings, checkpoint, runtime, stack, announce))
            yield
            if runtime.pipeline is None:
                # Still loading: without its engine process the loading thread ends.
                _end_children()
            lifetime.cancel()
            with suppress(asyncio.CancelledError):
                await lifetime

    # FastAPI's own /docs loads scripts from other hosts.
    app = FastAPIOffline(
        title="llava-server", version=__version__, lifespan=lifespan, redoc_url=None
    )
    app.state.runtime = runtime
    for routes in (chat, completions, responses, tokenize, models, health, page):
        app.include_router(routes.router)
    add_error_handlers(app)
    add_schemas(app)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(RequestId)
    return app


async def _run(
    settings: Settings,
    checkpoint: Checkpoint,
    runtime: Runtime,
    stack: AsyncExitStack,
    announce: Callable[[str], None],
) -> None:
    """Load the model, announce it, and watch the engine until it dies or the server ends."""
    try:
        pipeline, engine = await load_pipeline(
            settings, checkpoint, runtime.model_name, runtime.metrics, stack
        )
    except CheckpointError as error:
        runtime.lifecycle.fail(str(error))
        return
    except Exception:
        log.exception("loading failed")
        runtime.lifecycle.fail("the model could not be loaded")
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


def _end_children() -> None:
    for child in multiprocessing.active_children():
        child.terminate()
