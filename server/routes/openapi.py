"""The API's description, with the requests and events that routes read and write by themselves."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server.protocol.request import ChatCompletionRequest
from server.protocol.responses.events import ResponseStreamEvent
from server.protocol.responses.request import ResponsesRequest

REF_TEMPLATE: Final = "#/components/schemas/{model}"
REQUESTS: Final[Sequence[type[BaseModel]]] = (ChatCompletionRequest, ResponsesRequest)
EVENTS: Final[Sequence[type[BaseModel]]] = (ResponseStreamEvent,)


def request_body(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """Return OpenAPI's `requestBody` for one of `REQUESTS`."""
    return {"requestBody": {"required": True, "content": _json(model, example)}}


def event_stream(model: type[BaseModel]) -> dict[str, Any]:
    """Return OpenAPI's `content` for a stream of one of `EVENTS`."""
    return {"text/event-stream": {"schema": _reference(model)}}


def add_schemas(app: FastAPI) -> None:
    """Let the app's description define what `request_body` and `event_stream` refer to."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        description = generate()
        _, schemas = models_json_schema(
            [(model, "validation") for model in (*REQUESTS, *EVENTS)], ref_template=REF_TEMPLATE
        )
        description["components"]["schemas"].update(schemas["$defs"])
        return description

    app.openapi = openapi  # type: ignore[method-assign]


def _json(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(model), "example": example}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF_TEMPLATE.format(model=model.__name__)}
