"""`POST /v1/chat/completions`."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from server.disconnect import unless_disconnected
from server.errors import NotReady
from server.generation import Generation
from server.protocol.request import parse_request
from server.protocol.response import ChatCompletion, ErrorResponse
from server.record import RequestRecord
from server.routes.openapi import chat_request_body
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
ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorResponse} for status in (400, 401, 404, 413, 429, 500, 503)
}


class EventStream(StreamingResponse):
    """A stream of events that gives back what the request held, however it ends."""

    def __init__(
        self, content: AsyncIterator[bytes], held: AsyncExitStack, headers: dict[str, str]
    ) -> None:
        super().__init__(
            content,
            media_type="text/event-stream",
            # Proxies must pass each event on at once.
            headers={"cache-control": "no-cache", "x-accel-buffering": "no", **headers},
        )
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events; Starlette stops when the client leaves."""
        async with self._held:
            await super().__call__(scope, receive, send)


@router.post(
    "/v1/chat/completions",
    response_model=ChatCompletion,
    responses=ERRORS,
    openapi_extra=chat_request_body(EXAMPLE),
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
        if runtime.pipeline is None:
            raise NotReady("The model is loading.")
        generating = runtime.pipeline.generate(chat, record, tenant)
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
