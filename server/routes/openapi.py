"""The API's description, with the requests that routes parse by themselves."""

from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server.protocol.completions import CompletionRequest
from server.protocol.request import ChatCompletionRequest
from server.protocol.response import ErrorResponse
from server.protocol.tokenizing import DetokenizeRequest, TokenizeChatRequest, TokenizeTextRequest

REF_TEMPLATE: Final = "#/components/schemas/{model}"

# All that routes may name in `request_body`.
BODIES: Final[tuple[type[BaseModel], ...]] = (
    ChatCompletionRequest,
    CompletionRequest,
    TokenizeTextRequest,
    TokenizeChatRequest,
    DetokenizeRequest,
)

ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorResponse} for status in (400, 401, 404, 413, 429, 500, 503)
}


def request_body(examples: dict[str, Any], *kinds: type[BaseModel]) -> dict[str, Any]:
    """Return OpenAPI's `requestBody` for a request of one of the kinds; examples have names."""
    references = [{"$ref": REF_TEMPLATE.format(model=kind.__name__)} for kind in kinds]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    named = {name: {"value": value} for name, value in examples.items()}
    content = {"application/json": {"schema": schema, "examples": named}}
    return {"requestBody": {"required": True, "content": content}}


def add_request_schemas(app: FastAPI) -> None:
    """Let the app's description define what `request_body` refers to."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        description = generate()
        _, schemas = models_json_schema(
            [(kind, "validation") for kind in BODIES], ref_template=REF_TEMPLATE
        )
        description["components"]["schemas"].update(schemas["$defs"])
        return description

    app.openapi = openapi  # type: ignore[method-assign]
