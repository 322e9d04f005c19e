"""The path that all generation endpoints share, from the request to the response."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Final, Protocol

from fastapi import Request, Response
from pydantic import BaseModel

from server.api.admission.cost import Cost
from server.api.auth import get_tenant
from server.api.body import read_body
from server.api.deadline import limit_time, read_deadline
from server.api.disconnect import cancel_on_disconnect
from server.api.event_stream import EventStream
from server.api.runtime import Runtime
from server.generation.interruption import Interruption
from server.pipeline import Pipeline
from server.protocol.generation_fields import GenerationFields
from server.telemetry.request_record import RequestRecord

NOTES_HEADER: Final = "x-llava-image-notes"


class Interruptible(Protocol):
    """A generation that a deadline or a decision can end."""

    @property
    def interruption(self) -> Interruption:
        """What ends it."""


class GenerationResponse(Protocol):
    """Generated output whose first token is there. Read it once, either way, then close it."""

    @property
    def generation(self) -> Interruptible:
        """Where the output comes from."""

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


Parser = Callable[[bytearray], GenerationRequest]


async def respond(http_request: Request, id_prefix: str, parse: Parser) -> Response:
    """Answer a generation request, whole or streamed. Raises `ApiError`.

    `id_prefix` begins the completion's id, e.g. `chatcmpl-`. Body, permit and record are held
    until the engine is done: a stream takes them over.
    """
    runtime: Runtime = http_request.app.state.runtime
    record = RequestRecord(f"{id_prefix}{uuid.uuid4().hex}", runtime.metrics)
    record.http_request_id = http_request.state.request_id
    record.endpoint = http_request.url.path
    deadline = read_deadline(http_request, runtime.limits.request_timeout_s)
    async with AsyncExitStack() as resources:
        resources.enter_context(record)
        tenant = await get_tenant(http_request)
        record.client, record.key = tenant.address, tenant.fingerprint
        lease = resources.enter_context(runtime.body_budget.lease(tenant.queue_key))
        async with limit_time(deadline):
            body = await read_body(http_request, lease, runtime.limits.max_body_bytes)
            cost_of_images = len(body)
            parsed = await runtime.parser.run(parse, body)
            del body
            request = parsed.request
            record.record_request(request.model, request.num_images, stream=bool(request.stream))
            cost = Cost(request.num_sequences, cost_of_images if request.num_images else 0)

            async def submit() -> GenerationResponse:
                permit = await runtime.admission.acquire(
                    tenant.queue_key, cost, http_request.client
                )
                resources.enter_context(permit)
                pipeline = runtime.require_pipeline()
                response = await parsed.submit(pipeline, record, tenant.id)
                request.drop_images()
                lease.release()
                permit.release_images()
                return response

            if not request.stream:
                whole = await cancel_on_disconnect(http_request.receive, _collect(submit))
                content = whole.model_dump_json(by_alias=True)
                return Response(content, 200, _note_headers(record), "application/json")
            response = await cancel_on_disconnect(http_request.receive, submit())
        resources.push_async_callback(response.aclose)
        interruption = response.generation.interruption
        interruption.deadline = deadline
        record.mark_streaming()
        return EventStream(
            response.events(),
            resources.pop_all(),
            _note_headers(record),
            max_buffered_bytes=runtime.limits.max_stream_buffer_bytes,
            abort=interruption.abort,
        )


async def _collect(submit: Callable[[], Awaitable[GenerationResponse]]) -> BaseModel:
    async with aclosing(await submit()) as response:
        return await response.response()


def _note_headers(record: RequestRecord) -> dict[str, str]:
    """Return the header with notes about the request's images, if there are any."""
    return {NOTES_HEADER: "; ".join(record.notes)} if record.notes else {}
