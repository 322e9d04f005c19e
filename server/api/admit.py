"""Admission of requests that generate nothing: a bounded body, then a permit."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

from fastapi import Request

from server.api.admission.cost import Cost
from server.api.allowed_models import build_policy, check_model_allowed
from server.api.auth import Tenant
from server.api.body import read_body
from server.api.deadline import limit_time, read_deadline
from server.api.gate_state import get_gate_state
from server.api.media_cost import MediaRequest, estimate_media_bytes
from server.api.recording import build_record
from server.api.runtime import Runtime
from server.protocol.policy import RequestPolicy


class CountingRequest(MediaRequest, Protocol):
    """A parsed body whose tokens are to be counted or converted."""

    @property
    def model(self) -> str | None:
        """The model that the body names, None for the server's own."""


T = TypeVar("T", bound=CountingRequest)


@asynccontextmanager
async def admit(
    request: Request, tenant: Tenant, parse: Callable[[bytearray, RequestPolicy], T]
) -> AsyncIterator[T]:
    """Yield the parsed body while the request holds memory, a permit and time.

    Images and videos do not count towards the key's limits, but are refused while it has no image
    tokens left. Raises `ApiError`.
    """
    runtime: Runtime = request.app.state.runtime
    policy = build_policy(runtime, tenant)
    gate = get_gate_state(request)
    with (
        build_record(request, tenant, request.state.request_id) as record,
        runtime.body_budget.lease(tenant.queue_key) as lease,
    ):
        async with limit_time(read_deadline(request, runtime.limits.request_timeout_s)):
            with runtime.metrics.stage("body"):
                body = await read_body(request, lease, runtime.limits.max_body_bytes)
                parsed = await runtime.parser.run(lambda body: parse(body, policy), body)
            gate.end_arrival()
            record.model = parsed.model or runtime.model_name
            record.images, record.videos = parsed.num_images, len(parsed.video_urls)
            check_model_allowed(runtime, tenant, record.model)
            if parsed.num_images or parsed.video_urls:
                gate.meter.check_image_tokens()
            cost = Cost(1, estimate_media_bytes(len(body), parsed, runtime.limits))
            del body
            with runtime.metrics.stage("queue"):
                permit = await runtime.admission.acquire(tenant.queue_key, cost, request.client)
            with permit:
                yield parsed
        record.mark_complete()
