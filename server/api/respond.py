"""The path from request to response, shared by all generation endpoints."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Final, Protocol

from fastapi import Request, Response
from pydantic import BaseModel

from server.api.admission.cost import Cost
from server.api.affinity import AFFINITY_HEADER, build_affinity_header
from server.api.allowed_models import build_policy, check_model_allowed
from server.api.auth import Tenant, get_tenant
from server.api.body import read_body
from server.api.deadline import limit_time, read_deadline
from server.api.disconnect import cancel_on_disconnect
from server.api.event_stream import EventStream
from server.api.gate_state import get_gate_state
from server.api.ignored_parameters import build_ignored_header
from server.api.media_cost import estimate_media_bytes
from server.api.recording import build_record
from server.api.runtime import Runtime
from server.generation.interruption import Interruption
from server.pipeline import OnEncoded, Pipeline
from server.protocol.generation_fields import GenerationFields
from server.protocol.policy import RequestPolicy
from server.telemetry.request_record import RequestRecord

NOTES_HEADER: Final = "x-llava-image-notes"


class Interruptible(Protocol):
    """A generation that can be aborted or given a deadline."""

    @property
    def interruption(self) -> Interruption:
        """What ends it."""


class GenerationResponse(Protocol):
    """Generated output whose first token has arrived. Read it once, either way, then close it."""

    @property
    def generation(self) -> Interruptible:
        """The generation that yields the output."""

    async def response(self) -> BaseModel:
        """Return everything as one body. Raises `ApiError`."""

    def events(self) -> AsyncIterator[bytes]:
        """Yield server-sent events; after an error the last one holds it."""

    async def aclose(self) -> None:
        """Abort unfinished sequences."""


class GenerationRequest(Protocol):
    """A parsed and validated body of one of the API dialects."""

    @property
    def request(self) -> GenerationFields:
        """The fields that the pipeline reads."""

    @property
    def ignored_parameters(self) -> Sequence[str]:
        """The paths of unknown fields, which were ignored."""

    def drop_media(self) -> None:
        """Free image data, which is not needed once the images are encoded."""

    async def submit(
        self,
        pipeline: Pipeline,
        record: RequestRecord,
        on_encoded: OnEncoded,
        /,
    ) -> GenerationResponse:
        """Do everything that can fail, then await the first token. Raises `ApiError`.

        Calls `on_encoded` as soon as the images are encoded.
        """


Parser = Callable[[bytearray, RequestPolicy], GenerationRequest]


async def respond(http_request: Request, id_prefix: str, parse: Parser) -> Response:
    """Answer a generation request, whole or streamed. Raises `ApiError`.

    `id_prefix` begins the completion's id, e.g. `chatcmpl-`. Permit and record are held until the
    engine is done: a stream takes them over.
    """
    runtime: Runtime = http_request.app.state.runtime
    tenant = await get_tenant(http_request)
    record = build_record(http_request, tenant, f"{id_prefix}{uuid.uuid4().hex}")
    async with AsyncExitStack() as resources:
        resources.enter_context(record)
        deadline = read_deadline(http_request, runtime.limits.request_timeout_s)
        exchange = _Exchange(http_request, runtime, record, tenant, resources)
        async with limit_time(deadline):
            parsed, cost = await exchange.read(parse)
            submission = exchange.submit(parsed, cost)
            if not parsed.request.stream:
                whole = await cancel_on_disconnect(http_request.receive, _collect(submission))
                content = whole.model_dump_json(by_alias=True)
                headers = exchange.build_headers(parsed.request)
                return Response(content, 200, headers, "application/json")
            response = await cancel_on_disconnect(http_request.receive, submission)
        return exchange.stream(response, exchange.build_headers(parsed.request), deadline)


class _Exchange:
    """One request and its response, whose resources are in `resources`."""

    def __init__(
        self,
        http_request: Request,
        runtime: Runtime,
        record: RequestRecord,
        tenant: Tenant,
        resources: AsyncExitStack,
    ) -> None:
        self._http_request = http_request
        self._runtime = runtime
        self._record = record
        self._tenant = tenant
        self._resources = resources
        self._lease = resources.enter_context(runtime.body_budget.lease(tenant.queue_key))

    async def read(self, parse: Parser) -> tuple[GenerationRequest, Cost]:
        """Return the parsed body and what the request costs. Raises `ApiError`."""
        max_bytes = self._runtime.limits.max_body_bytes
        policy = build_policy(self._runtime, self._tenant)
        with self._runtime.metrics.stage("body"):
            body = await read_body(self._http_request, self._lease, max_bytes)
            parsed = await self._runtime.parser.run(lambda body: parse(body, policy), body)
        get_gate_state(self._http_request).end_arrival()
        request = parsed.request
        self._record.ignored_parameters = parsed.ignored_parameters
        self._record.record_request(
            request.model,
            request.num_images,
            len(request.video_urls),
            stream=bool(request.stream),
        )
        check_model_allowed(self._runtime, self._tenant, request.model)
        if request.num_images or request.video_urls:
            self._record.caller.meter.check_image_tokens()
        if request.token_limit is not None:
            tokens = request.token_limit * request.num_sequences
            self._record.caller.meter.reserve_output_tokens(tokens)
        image_bytes = estimate_media_bytes(len(body), request, self._runtime.limits)
        return parsed, Cost(request.num_sequences, image_bytes)

    async def submit(self, parsed: GenerationRequest, cost: Cost) -> GenerationResponse:
        """Wait for a permit, then for the first token. Raises `ApiError`."""
        with self._runtime.metrics.stage("queue"):
            permit = await self._runtime.admission.acquire(
                self._tenant.queue_key, cost, self._http_request.client
            )
        self._resources.enter_context(permit)

        def release_images() -> None:
            parsed.drop_media()
            self._lease.release()
            permit.release_images()

        pipeline = self._runtime.require_pipeline()
        return await parsed.submit(pipeline, self._record, release_images)

    def build_headers(self, request: GenerationFields) -> dict[str, str]:
        """Return the headers of a successful answer."""
        record = self._record
        affinity = build_affinity_header(
            self._http_request.headers.get(AFFINITY_HEADER, ""),
            self._tenant.cache_partition,
            record.first_image_key,
            request.leading_text,
        )
        return affinity | _note_headers(record)

    def stream(
        self, response: GenerationResponse, headers: dict[str, str], deadline: float
    ) -> EventStream:
        """Return the response as a stream, which takes over the resources."""
        self._resources.push_async_callback(response.aclose)
        interruption = response.generation.interruption
        interruption.deadline = deadline
        self._record.mark_streaming()
        return EventStream(
            response.events(),
            self._resources.pop_all(),
            headers,
            max_buffered_bytes=self._runtime.limits.max_stream_buffer_bytes,
            budget=self._runtime.output_budget,
            abort=interruption.abort,
        )


async def _collect(submission: Awaitable[GenerationResponse]) -> BaseModel:
    async with aclosing(await submission) as response:
        return await response.response()


def _note_headers(record: RequestRecord) -> dict[str, str]:
    """Return the headers about images and ignored fields, if any."""
    notes = {NOTES_HEADER: "; ".join(record.notes)} if record.notes else {}
    return notes | build_ignored_header(record.ignored_parameters)
