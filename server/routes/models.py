"""`GET /v1/models`."""

from fastapi import APIRouter, Request

from server.protocol.response import Model, ModelList
from server.runtime import Runtime

router = APIRouter()


@router.get("/v1/models")
async def list_models(request: Request) -> ModelList:
    """List the one model that is served."""
    runtime: Runtime = request.app.state.runtime
    runtime.access.tenant(request.headers.get("authorization"))
    model = Model(
        id=runtime.model_name, created=runtime.created, max_model_len=runtime.max_model_len
    )
    return ModelList(data=[model])
