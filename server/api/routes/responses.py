"""`POST /v1/responses`, and 404 for the paths that need stored responses."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from server.api.auth import CurrentTenant
from server.api.openapi import (
    ERRORS,
    describe_event_stream,
    describe_request_body,
)
from server.api.respond import respond
from server.errors import ApiError, NotFound
from server.example_image import EXAMPLE_IMAGE_URL
from server.generation.generation import Generation
from server.pipeline import OnEncoded, Pipeline
from server.protocol.chat.request import ChatCompletionRequest
from server.protocol.errors import ErrorResponse
from server.protocol.responses.events import ResponseStreamEvent
from server.protocol.responses.request import ResponsesRequest
from server.protocol.responses.response import ResponseObject
from server.responses.response_builder import ResponseBuilder
from server.responses.streaming import collect_response, stream_response
from server.responses.translation import TranslatedResponsesRequest, parse_and_translate
from server.telemetry.request_record import RequestRecord

router = APIRouter()

EXAMPLE: Final[dict[str, Any]] = {
    "model": "llava-tiny",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": EXAMPLE_IMAGE_URL},
                {"type": "input_text", "text": "Describe the image."},
            ],
        }
    ],
}
NOTHING_STORED: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorResponse} for status in (404, "4XX")
}


@router.post(
    "/v1/responses",
    response_model=ResponseObject,
    responses=ERRORS | describe_event_stream(ResponseStreamEvent),
    openapi_extra=describe_request_body({"a picture": EXAMPLE}, ResponsesRequest),
)
async def create_response(request: Request) -> Response:
    """Answer an input with or without images, as one body or as server-sent events.

    Responses are not stored.
    """
    return await respond(
        request, "resp_", lambda *body: _ResponsesRequest(parse_and_translate(*body))
    )


@router.get("/v1/responses/{response_id}", status_code=404, responses=NOTHING_STORED)
@router.delete("/v1/responses/{response_id}", status_code=404, responses=NOTHING_STORED)
@router.post("/v1/responses/{response_id}/cancel", status_code=404, responses=NOTHING_STORED)
@router.get("/v1/responses/{response_id}/input_items", status_code=404, responses=NOTHING_STORED)
async def refuse_stored_response(response_id: str, _: CurrentTenant) -> None:
    """Refuse with 404: this server stores no responses."""
    raise NotFound(f"There is no response '{response_id}': this server stores none.")


@dataclass(frozen=True, slots=True)
class _ResponsesRequest:
    translated: TranslatedResponsesRequest

    @property
    def request(self) -> ChatCompletionRequest:
        return self.translated.chat

    @property
    def ignored_parameters(self) -> Sequence[str]:
        return self.translated.request.ignored_parameters

    def drop_media(self) -> None:
        self.request.drop_media()
        self.translated.request.drop_media()

    async def submit(
        self,
        pipeline: Pipeline,
        record: RequestRecord,
        on_encoded: OnEncoded,
    ) -> "_ResponsesResponse":
        try:
            generation = await pipeline.generate(self.request, record, on_encoded)
        except ApiError as error:
            raise self.translated.translate_error(error) from None
        builder = ResponseBuilder(self.translated.request, record, pipeline.sampling_defaults)
        return _ResponsesResponse(generation, builder, record)


@dataclass(frozen=True, slots=True)
class _ResponsesResponse:
    generation: Generation
    builder: ResponseBuilder
    record: RequestRecord

    async def response(self) -> ResponseObject:
        return await collect_response(self.generation, self.builder, self.record)

    def events(self) -> AsyncIterator[bytes]:
        return stream_response(self.generation, self.builder, self.record)

    async def aclose(self) -> None:
        await self.generation.aclose()
