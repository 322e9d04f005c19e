"""What all routes that generate share: access, admission, disconnects, the record, the response."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final, Protocol

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from server.disconnect import unless_disconnected
from server.errors import NotReady
from server.pipeline import Pipeline
from server.protocol.request import ChatCompletionRequest
from server.protocol.response import ErrorResponse
from server.record import RequestRecord
from server.runtime import Runtime

NOTES_HEADER: Final = "x-llava-image-notes"

ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorResponse} for status in (400, 401, 404, 413, 429, 500, 503)
}


class Answer(Protocol):
    """An answer whose first output is there. It is read in one of the two ways, then closed."""

    async def whole(self) -> BaseModel:
        """Return all of it as one body. Raises `ApiError`."""

    def events(self) -> AsyncIterator[bytes]:
        """Yield it as server-sent events, the last of which tells of an error if there is one."""

    async def aclose(self) -> None:
        """Abort what is not finished."""


class Question(Protocol):
    """A body that has been parsed and checked."""

    @property
    def chat(self) -> ChatCompletionRequest:
        """What the pipeline is asked."""

    async def ask(self, pipeline: Pipeline, record: RequestRecord, tenant: str) -> Answer:
        """Do all that can fail and await the first output. Raises `ApiError`."""


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


async def respond(request: Request, prefix: str, parse: Callable[[bytes], Question]) -> Response:
    """Answer a request, whose id gets a prefix. Raises `ApiError`."""
    runtime: Runtime = request.app.state.runtime
    record = RequestRecord(f"{prefix}{request.state.request_id}", runtime.metrics)
    async with AsyncExitStack() as held:
        held.enter_context(record)
        tenant = runtime.access.tenant(request.headers.get("authorization"))
        question = parse(await request.body())
        chat = question.chat
        record.model, record.stream = chat.model, bool(chat.stream)
        record.images = len(chat.images)
        held.enter_context(runtime.admission.acquire())
        if runtime.pipeline is None:
            raise NotReady("The model is loading.")
        asking = question.ask(runtime.pipeline, record, tenant)
        if not chat.stream:
            whole = await unless_disconnected(request.receive, _whole(asking))
            body = whole.model_dump_json(by_alias=True)
            return Response(body, 200, _notes(record), "application/json")
        answer = await unless_disconnected(request.receive, asking)
        held.push_async_callback(answer.aclose)
        return EventStream(answer.events(), held.pop_all(), _notes(record))


async def _whole(asking: Awaitable[Answer]) -> BaseModel:
    async with aclosing(await asking) as answer:
        return await answer.whole()


def _notes(record: RequestRecord) -> dict[str, str]:
    """Return the header that says what a client should know of its images."""
    return {NOTES_HEADER: "; ".join(record.notes)} if record.notes else {}
