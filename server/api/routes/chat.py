"""`POST /v1/chat/completions`."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from server.api.openapi import (
    ERRORS,
    describe_event_stream,
    describe_request_body,
)
from server.api.respond import respond
from server.chat.streaming import collect_chat_completion, stream_chat_completion
from server.example_image import EXAMPLE_IMAGE_URL
from server.generation.generation import Generation
from server.pipeline import OnEncoded, Pipeline
from server.protocol.chat.request import ChatCompletionRequest, parse_chat_request
from server.protocol.chat.response import ChatCompletion, ChatCompletionChunk
from server.telemetry.request_record import RequestRecord

router = APIRouter()

EXAMPLE: Final[dict[str, Any]] = {
    "model": "llava-tiny",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": EXAMPLE_IMAGE_URL}},
                {"type": "text", "text": "Describe the image."},
            ],
        }
    ],
}


@router.post(
    "/v1/chat/completions",
    response_model=ChatCompletion,
    responses=ERRORS | describe_event_stream(ChatCompletionChunk),
    openapi_extra=describe_request_body({"a picture": EXAMPLE}, ChatCompletionRequest),
)
async def chat_completions(request: Request) -> Response:
    """Answer a conversation with or without images, as one body or as server-sent events."""
    return await respond(
        request, "chatcmpl-", lambda *body: _ChatRequest(parse_chat_request(*body))
    )


@dataclass(frozen=True, slots=True)
class _ChatRequest:
    request: ChatCompletionRequest

    @property
    def ignored_parameters(self) -> Sequence[str]:
        return self.request.ignored_parameters

    def drop_media(self) -> None:
        self.request.drop_media()

    async def submit(
        self,
        pipeline: Pipeline,
        record: RequestRecord,
        on_encoded: OnEncoded,
    ) -> "_ChatResponse":
        generation = await pipeline.generate(self.request, record, on_encoded)
        return _ChatResponse(generation, self.request, record)


@dataclass(frozen=True, slots=True)
class _ChatResponse:
    generation: Generation
    request: ChatCompletionRequest
    record: RequestRecord

    async def response(self) -> ChatCompletion:
        return await collect_chat_completion(self.generation, self.request.model, self.record)

    def events(self) -> AsyncIterator[bytes]:
        return stream_chat_completion(
            self.generation,
            self.request.model,
            self.record,
            include_usage=self.request.include_usage,
            continuous_usage=self.request.continuous_usage,
        )

    async def aclose(self) -> None:
        await self.generation.aclose()
