"""`POST /v1/chat/completions`."""

from collections.abc import Awaitable
from contextlib import AsyncExitStack, aclosing
from typing import Final

from fastapi import APIRouter, Request, Response

from server.disconnect import unless_disconnected
from server.generation import Generation
from server.protocol.request import ChatCompletionRequest, parse_request
from server.protocol.response import ChatCompletion
from server.record import RequestRecord
from server.routes.event_stream import EventStream
from server.routes.openapi import ERRORS, request_body
from server.runtime import Runtime
from server.streaming import completion, events

router = APIRouter()

NOTES_HEADER: Final = "x-llava-image-notes"

EXAMPLE: Final = {
    "model": "llava-tiny",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,…"}},
                {"type": "text", "text": "Describe the image."},
            ],
        }
    ],
}


@router.post(
    "/v1/chat/completions",
    response_model=ChatCompletion,
    responses=ERRORS,
    openapi_extra=request_body({"a picture": EXAMPLE}, ChatCompletionRequest),
)
async def chat_completions(request: Request) -> Response:
    """Answer a conversation that may hold images, at once or as server-sent events."""
    runtime: Runtime = request.app.state.runtime
    record = RequestRecord(f"chatcmpl-{request.state.request_id}", runtime.metrics)
    async with AsyncExitStack() as held:
        held.enter_context(record)
        tenant = runtime.access.tenant(request.headers.get("authorization"))
        chat = parse_request(await request.body())
        record.model, record.stream = chat.model, bool(chat.stream)
        record.images = len(chat.images)
        held.enter_context(runtime.admission.acquire())
        generating = runtime.loaded.generate(chat, record, tenant)
        if not chat.stream:
            answer = await unless_disconnected(
                request.receive, _completion(generating, chat.model, record)
            )
            return Response(answer.model_dump_json(), 200, _notes(record), "application/json")
        outputs = await unless_disconnected(request.receive, generating)
        held.push_async_callback(outputs.aclose)
        stream = events(
            outputs,
            chat.model,
            record,
            include_usage=chat.include_usage,
            continuous_usage=chat.continuous_usage,
        )
        return EventStream(stream, held.pop_all(), _notes(record))


async def _completion(
    generating: Awaitable[Generation], model: str, record: RequestRecord
) -> ChatCompletion:
    async with aclosing(await generating) as outputs:
        return await completion(outputs, model, record)


def _notes(record: RequestRecord) -> dict[str, str]:
    """Return the header that says what a client should know of its images."""
    return {NOTES_HEADER: "; ".join(record.notes)} if record.notes else {}
