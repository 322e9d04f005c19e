"""`GET /v1/models`."""

from typing import Any, Final

from fastapi import APIRouter, Request

from server.api.openapi import ERRORS
from server.api.runtime import Runtime
from server.errors import ModelNotFound
from server.protocol.models import Model, ModelList

router = APIRouter()

Responses = dict[int | str, dict[str, Any]]

REFUSED: Final[Responses] = {status: ERRORS[status] for status in (401, 500)}
NOT_FOUND: Final[Responses] = REFUSED | {404: ERRORS[404]}


@router.get("/v1/models", responses=REFUSED)
async def list_models(request: Request) -> ModelList:
    """List what is served: the model, then its LoRA adapters."""
    runtime: Runtime = request.app.state.runtime
    runtime.access.tenant(request.headers.get("authorization"))
    return ModelList(data=_models(runtime))


@router.get("/v1/models/{model_id:path}", responses=NOT_FOUND)
async def retrieve_model(request: Request, model_id: str) -> Model:
    """Describe one model; its name may hold slashes."""
    runtime: Runtime = request.app.state.runtime
    runtime.access.tenant(request.headers.get("authorization"))
    for model in _models(runtime):
        if model.id == model_id:
            return model
    raise ModelNotFound(f"The model '{model_id}' does not exist.", "model")


def _models(runtime: Runtime) -> list[Model]:
    """Return the model and its adapters, which name it as their parent."""
    names = {runtime.model_name: None, **dict.fromkeys(runtime.adapters, runtime.model_name)}
    return [
        Model(id=name, created=runtime.created, max_model_len=runtime.max_model_len, parent=parent)
        for name, parent in names.items()
    ]
