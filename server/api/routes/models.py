"""`GET /v1/models`."""

from typing import Any, Final

from fastapi import APIRouter, Request

from server.api.allowed_models import is_model_allowed
from server.api.auth import CurrentTenant, Tenant
from server.api.openapi import ERRORS
from server.api.runtime import Runtime
from server.errors import ModelNotFound
from server.protocol.models import Model, ModelList

router = APIRouter()

Responses = dict[int | str, dict[str, Any]]

UNAUTHORIZED: Final[Responses] = {status: ERRORS[status] for status in (401, 500)}
NOT_FOUND: Final[Responses] = UNAUTHORIZED | {404: ERRORS[404]}


@router.get("/v1/models", responses=UNAUTHORIZED)
async def list_models(request: Request, tenant: CurrentTenant) -> ModelList:
    """List the served model and its LoRA adapters, as far as the key may use them."""
    return ModelList(data=_list(request.app.state.runtime, tenant))


@router.get("/v1/models/{model_id:path}", responses=NOT_FOUND)
async def retrieve_model(request: Request, model_id: str, tenant: CurrentTenant) -> Model:
    """Describe one model; its name may contain slashes."""
    models = _list(request.app.state.runtime, tenant)
    for model in models:
        if model.id == model_id:
            return model
    raise ModelNotFound.build(model_id, [model.id for model in models])


def _list(runtime: Runtime, tenant: Tenant) -> list[Model]:
    """Return the model under all its names, and its adapters, whose `parent` is the model."""
    names = {
        **dict.fromkeys((runtime.model_name, *runtime.aliases)),
        **dict.fromkeys(runtime.adapters, runtime.model_name),
    }
    return [
        Model.build(
            name,
            parent,
            created=runtime.created,
            max_model_len=runtime.max_model_len,
            is_loaded=runtime.pipeline is not None,
            takes_video=runtime.takes_video,
        )
        for name, parent in names.items()
        if is_model_allowed(tenant, name)
    ]
