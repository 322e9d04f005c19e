"""`POST /v1/completions`."""

from collections.abc import Awaitable
from contextlib import AsyncExitStack, aclosing
from typing import Final

from fastapi import APIRouter, Request, Response

from server.batch import Batch
from server.disconnect import unless_disconnected
from server.protocol.completion_response import TextCompletion
from server.protocol.completions import CompletionRequest, parse_completion_request
from server.record import RequestRecord
from server.routes.event_stream import EventStream
from server.routes.openapi import ERRORS, request_body
from server.runtime import Runtime
from server.text_streaming import text_completion, text_events

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
    responses=ERRORS,
    openapi_extra=request_body(EXAMPLES, CompletionRequest),
)
async def completions(request: Request) -> Response:
    """Continue one or more prompts as they are, at once or as server-sent events."""
    runtime: Runtime = request.app.state.runtime
    record = RequestRecord(f"cmpl-{request.state.request_id}", runtime.metrics)
    async with AsyncExitStack() as held:
        held.enter_context(record)
        runtime.access.tenant(request.headers.get("authorization"))
        wanted = parse_completion_request(await request.body())
        record.model, record.stream = wanted.model, bool(wanted.stream)
        held.enter_context(runtime.admission.acquire())
        answering = runtime.loaded.complete(wanted, record)
        if not wanted.stream:
            answer = await unless_disconnected(
                request.receive, _completion(answering, wanted, record)
            )
            return Response(answer.model_dump_json(), 200, media_type="application/json")
        batch = await unless_disconnected(request.receive, answering)
        held.push_async_callback(batch.aclose)
        return EventStream(text_events(batch, wanted, record), held.pop_all())


async def _completion(
    answering: Awaitable[Batch], wanted: CompletionRequest, record: RequestRecord
) -> TextCompletion:
    async with aclosing(await answering) as batch:
        return await text_completion(batch, wanted, record)
