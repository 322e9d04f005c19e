"""The API's description, with the chat request that routes parse by themselves."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from server.protocol.request import ChatCompletionRequest

REF_TEMPLATE = "#/components/schemas/{model}"


def chat_request_body(example: dict[str, Any]) -> dict[str, Any]:
    """Return OpenAPI's `requestBody` for a chat request."""
    reference = {"$ref": REF_TEMPLATE.format(model=ChatCompletionRequest.__name__)}
    content = {"application/json": {"schema": reference, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def add_request_schemas(app: FastAPI) -> None:
    """Let the app's description define what `chat_request_body` refers to."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        description = generate()
        _, schemas = models_json_schema(
            [(ChatCompletionRequest, "validation")], ref_template=REF_TEMPLATE
        )
        description["components"]["schemas"].update(schemas["$defs"])
        return description

    app.openapi = openapi  # type: ignore[method-assign]
