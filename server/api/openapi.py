"""The OpenAPI description of bodies and events that FastAPI does not parse or write itself."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server.protocol.chat.request import ChatCompletionRequest
from server.protocol.chat.response import ChatCompletionChunk
from server.protocol.completions.request import CompletionRequest
from server.protocol.completions.response import TextCompletionChunk
from server.protocol.errors import ErrorResponse
from server.protocol.messages.errors import MessagesErrorResponse
from server.protocol.messages.events import MessageStreamEvent
from server.protocol.messages.request import MessagesRequest, TokenCountRequest
from server.protocol.responses.events import ResponseStreamEvent
from server.protocol.responses.request import ResponsesRequest
from server.protocol.tokenize import DetokenizeRequest, TokenizeChatRequest, TokenizeTextRequest

REF_TEMPLATE: Final = "#/components/schemas/{model}"

# The models that routes name in `describe_request_body` and `describe_event_stream`.
BODIES: Final[Sequence[type[BaseModel]]] = (
    ChatCompletionRequest,
    CompletionRequest,
    ResponsesRequest,
    MessagesRequest,
    TokenCountRequest,
    TokenizeTextRequest,
    TokenizeChatRequest,
    DetokenizeRequest,
)
EVENTS: Final[Sequence[type[BaseModel]]] = (
    ChatCompletionChunk,
    TextCompletionChunk,
    ResponseStreamEvent,
    MessageStreamEvent,
)

Responses = dict[int | str, dict[str, Any]]

ERROR_STATUSES: Final = (400, 401, 403, 404, 413, 415, 429, 500, 503)
ERRORS: Final[Responses] = {status: {"model": ErrorResponse} for status in ERROR_STATUSES}
MESSAGES_ERRORS: Final[Responses] = {
    status: {"model": MessagesErrorResponse} for status in ERROR_STATUSES
}


def describe_request_body(examples: dict[str, Any], *kinds: type[BaseModel]) -> dict[str, Any]:
    """Return OpenAPI's `requestBody` for a body of one of `kinds`; `examples` have names."""
    references = [_reference(kind) for kind in kinds]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    named = {name: {"value": value} for name, value in examples.items()}
    content = {"application/json": {"schema": schema, "examples": named}}
    return {"requestBody": {"required": True, "content": content}}


def describe_event_stream(kind: type[BaseModel]) -> Responses:
    """Return FastAPI's `responses` entry for a stream of events of type `kind`."""
    return {200: {"content": {"text/event-stream": {"schema": _reference(kind)}}}}


def add_schemas(app: FastAPI) -> None:
    """Add the schemas of bodies and events to the app's OpenAPI description.

    It takes a second or two to build, once.
    """
    generate = app.openapi

    @cache
    def openapi() -> dict[str, Any]:
        description = generate()
        _, schemas = models_json_schema(
            [(kind, "validation") for kind in (*BODIES, *EVENTS)], ref_template=REF_TEMPLATE
        )
        description["components"]["schemas"].update(schemas["$defs"])
        return description

    app.openapi = openapi  # type: ignore[method-assign]


def _reference(kind: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF_TEMPLATE.format(model=kind.__name__)}
