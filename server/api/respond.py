"""What all routes that generate share: access, admission, disconnects, the record, the response."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Final, Protocol

from fastapi import Request, Response
from pydantic import BaseModel

from server.api.disconnect import cancel_on_disconnect
from server.api.event_stream import EventStream
from server.api.runtime import Runtime
from server.pipeline import Pipeline
from server.protocol.generation_fields import GenerationFields
from server.telemetry.request_record import RequestRecord

NOTES_HEADER: Final = "x-llava-image-notes"


class GenerationResponse(Protocol):
    """An answer whose first output is there. It is read in one of the two ways, then closed."""

    async def whole(self) -> BaseModel:
        """Return all of it as one body. Raises `ApiError`."""

    def events(self) -> AsyncIterator[bytes]:
        """Yield it as server-sent events, the last of which tells of an error if there is one."""

    async def aclose(self) -> None:
        """Abort what is not finished."""


class GenerationRequest(Protocol):
    """A body that has been parsed and checked."""

    @property
    def wanted(self) -> GenerationFields:
        """What the pipeline is asked."""

    async def ask(
        self, pipeline: Pipeline, record: RequestRecord, tenant: str, /
    ) -> GenerationResponse:
        """Do all that can fail and await the first output. Raises `ApiError`."""


async def respond(
    request: Request, prefix: str, parse: Callable[[bytes], GenerationRequest]
) -> Response:
    """Answer a request, whose id gets a prefix. Raises `ApiError`."""
    runtime: Runtime = request.app.state.runtime
    record = RequestRecord(f"{prefix}{request.state.request_id}", runtime.metrics)
    async with AsyncExitStack() as held:
        held.enter_context(record)
        tenant = runtime.access.tenant(request.headers.get("authorization"))
        question = parse(await request.body())
        wanted = question.wanted
        record.model, record.stream = wanted.model, bool(wanted.stream)
        record.images = wanted.num_images
        held.enter_context(runtime.admission.acquire())
        asking = question.ask(runtime.loaded, record, tenant)
        if not wanted.stream:
            whole = await cancel_on_disconnect(request.receive, _whole(asking))
            body = whole.model_dump_json(by_alias=True)
            return Response(body, 200, _notes(record), "application/json")
        answer = await cancel_on_disconnect(request.receive, asking)
        held.push_async_callback(answer.aclose)
        return EventStream(answer.events(), held.pop_all(), _notes(record))


async def _whole(asking: Awaitable[GenerationResponse]) -> BaseModel:
    async with aclosing(await asking) as answer:
        return await answer.whole()


def _notes(record: RequestRecord) -> dict[str, str]:
    """Return the header that says what a client should know of its images."""
    return {NOTES_HEADER: "; ".join(record.notes)} if record.notes else {}
