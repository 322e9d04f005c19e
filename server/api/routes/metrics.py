"""The metrics endpoint; if there is an admin port, only there."""

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from server.api.runtime import Runtime

router = APIRouter()


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Return our metrics and the engine's in Prometheus' text format."""
    runtime: Runtime = request.app.state.runtime
    text = await runtime.metrics_text.get()
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)
