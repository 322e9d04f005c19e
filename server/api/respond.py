"""The path that all generation endpoints share, from the request to the response."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Final, Protocol

from fastapi import Request, Response
from pydantic import BaseModel

from server.api.auth import get_tenant
from server.api.disconnect import cancel_on_disconnect
from server.api.event_stream import EventStream
from server.api.runtime import Runtime
from server.pipeline import Pipeline
from server.protocol.generation_fields import GenerationFields
from server.telemetry.request_record import RequestRecord

NOTES_HEADER: Final = "x-llava-image-notes"


class GenerationResponse(Protocol):
    """Generated output whose first token is there. Read it once, either way, then close it."""

    async def response(self) -> BaseModel:
        """Return everything as one body. Raises `ApiError`."""

    def events(self) -> AsyncIterator[bytes]:
        """Yield server-sent events; after an error the last one holds it."""

    async def aclose(self) -> None:
        """Abort what is not finished."""


class GenerationRequest(Protocol):
    """A parsed and validated body of one of the API dialects."""

    @property
    def request(self) -> GenerationFields:
        """The fields that the pipeline reads."""

    async def submit(
        self, pipeline: Pipeline, record: RequestRecord, tenant: str, /
    ) -> GenerationResponse:
        """Do everything that can fail and await the first token. Raises `ApiError`."""


Parser = Callable[[bytes], GenerationRequest]


async def respond(http_request: Request, id_prefix: str, parse: Parser) -> Response:
    """Answer a generation request, whole or streamed. Raises `ApiError`.

    `id_prefix` comes before the request's id, e.g. `chatcmpl-`. Permit and record are held until
    the last byte: a stream takes them over.
    """
    runtime: Runtime = http_request.app.state.runtime
    record = RequestRecord(f"{id_prefix}{http_request.state.request_id}", runtime.metrics)
    async with AsyncExitStack() as resources:
        resources.enter_context(record)
        tenant = await get_tenant(http_request)
        parsed = parse(await http_request.body())
        request = parsed.request
        record.model, record.stream = request.model, bool(request.stream)
        record.images = request.num_images
        resources.enter_context(runtime.admission.acquire())
        submission = parsed.submit(runtime.require_pipeline(), record, tenant.id)
        if not request.stream:
            body = await cancel_on_disconnect(http_request.receive, _collect(submission))
            content = body.model_dump_json(by_alias=True)
            return Response(content, 200, _note_headers(record), "application/json")
        response = await cancel_on_disconnect(http_request.receive, submission)
        resources.push_async_callback(response.aclose)
        return EventStream(response.events(), resources.pop_all(), _note_headers(record))


async def _collect(submission: Awaitable[GenerationResponse]) -> BaseModel:
    async with aclosing(await submission) as response:
        return await response.response()


def _note_headers(record: RequestRecord) -> dict[str, str]:
    """Return the header with notes about the request's images, if there are any."""
    return {NOTES_HEADER: "; ".join(record.notes)} if record.notes else {}
