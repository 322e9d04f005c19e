"""The API's description, with the requests and events that routes read and write by themselves."""

import json
from collections.abc import Sequence
from typing import Any, Final, Literal

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
        if app.openapi_schema is None:
            schemas = generate()["components"]["schemas"]
            _define(schemas, EVENTS, "serialization")
            _define(schemas, REQUESTS, "validation")
        return generate()

    app.openapi = openapi  # type: ignore[method-assign]


def _json(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(model), "example": example}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF_TEMPLATE.format(model=model.__name__)}


def _define(
    schemas: dict[str, Any],
    models: Sequence[type[BaseModel]],
    mode: Literal["serialization", "validation"],
) -> None:
    """Add the models' schemas; where a name is taken by another, `-Input` is appended to it."""
    _, generated = models_json_schema(
        [(model, mode) for model in models], ref_template=REF_TEMPLATE
    )
    new = generated["$defs"]
    taken = {name for name in new if schemas.get(name, new[name]) != new[name]}
    text = json.dumps(new)
    for name in taken:
        reference = REF_TEMPLATE.format(model=name)
        text = text.replace(f'"{reference}"', f'"{reference}-Input"')
    for name, schema in json.loads(text).items():
        schemas[f"{name}-Input" if name in taken else name] = schema
