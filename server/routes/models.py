"""`GET /v1/models`."""

from fastapi import APIRouter, Request

from server.protocol.response import Model, ModelList
from server.runtime import Runtime

router = APIRouter()


@router.get("/v1/models")
async def list_models(request: Request) -> ModelList:
    """List what is served: the model, then its LoRA adapters."""
    runtime: Runtime = request.app.state.runtime
    runtime.access.tenant(request.headers.get("authorization"))
    return ModelList(data=_models(runtime))


def _models(runtime: Runtime) -> list[Model]:
    """Return the model and its adapters, which name it as their parent."""
    names = {runtime.model_name: None, **dict.fromkeys(runtime.adapters, runtime.model_name)}
    return [
        Model(id=name, created=runtime.created, max_model_len=runtime.max_model_len, parent=parent)
        for name, parent in names.items()
    ]
