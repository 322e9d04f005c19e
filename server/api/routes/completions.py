"""`POST /v1/completions`."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request, Response

from server.api.openapi import ERRORS, describe_event_stream, describe_request_body
from server.api.respond import respond
from server.completions.batch_generation import BatchGeneration
from server.completions.streaming import collect_completion, stream_completion
from server.pipeline import OnEncoded, Pipeline
from server.protocol.completions.request import CompletionRequest, parse_completion_request
from server.protocol.completions.response import TextCompletion, TextCompletionChunk
from server.telemetry.request_record import RequestRecord

router = APIRouter()

EXAMPLES: Final = {
    "a prompt": {"model": "llava-tiny", "prompt": "A red circle", "max_tokens": 16},
    "scoring two prompts": {
        "model": "llava-tiny",
        "prompt": ["A red circle.", "A red square."],
        "echo": True,
        "logprobs": 1,
        "max_tokens": 0,
    },
}


@router.post(
    "/v1/completions",
    response_model=TextCompletion,
    responses=ERRORS | describe_event_stream(TextCompletionChunk),
    openapi_extra=describe_request_body(EXAMPLES, CompletionRequest),
)
async def completions(request: Request) -> Response:
    """Continue one or more prompts without a template, as one body or as server-sent events."""
    return await respond(
        request, "cmpl-", lambda *body: _TextRequest(parse_completion_request(*body))
    )


@dataclass(frozen=True, slots=True)
class _TextRequest:
    request: CompletionRequest

    @property
    def ignored_parameters(self) -> Sequence[str]:
        return self.request.ignored_parameters

    def drop_media(self) -> None:
        """Text completions have none."""

    async def submit(
        self, pipeline: Pipeline, record: RequestRecord, _: OnEncoded
    ) -> "_TextResponse":
        generation = await pipeline.complete(self.request, record)
        return _TextResponse(generation, self.request, record)


@dataclass(frozen=True, slots=True)
class _TextResponse:
    generation: BatchGeneration
    request: CompletionRequest
    record: RequestRecord

    async def response(self) -> TextCompletion:
        return await collect_completion(self.generation, self.request, self.record)

    def events(self) -> AsyncIterator[bytes]:
        return stream_completion(self.generation, self.request, self.record)

    async def aclose(self) -> None:
        await self.generation.aclose()
