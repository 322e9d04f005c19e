"""Admission of requests that generate nothing: a bounded body, then a permit."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from fastapi import Request

from server.api.admission.arrivals import Arrival
from server.api.admission.cost import Cost, estimate_image_bytes
from server.api.auth import Tenant
from server.api.body import read_body
from server.api.deadline import limit_time, read_deadline
from server.api.runtime import Runtime
from server.api.scope import route_path
from server.protocol.policy import RequestPolicy
from server.telemetry.outcomes import Counted, count_outcome
from server.telemetry.usage import Usage

T = TypeVar("T")


@asynccontextmanager
async def admit(
    request: Request,
    tenant: Tenant,
    parse: Callable[[bytearray, RequestPolicy], T],
    count_images: Callable[[T], int] = lambda _: 0,
) -> AsyncIterator[T]:
    """Yield the parsed body while the request holds memory, a permit and time.

    Raises `ApiError`.
    """
    runtime: Runtime = request.app.state.runtime
    with (
        _count(runtime, request, tenant) as counted,
        runtime.body_budget.lease(tenant.queue_key) as lease,
    ):
        async with limit_time(read_deadline(request, runtime.limits.request_timeout_s)):
            with runtime.metrics.stage("body"):
                body = await read_body(request, lease, runtime.limits.max_body_bytes)
                parsed = await runtime.parser.run(lambda body: parse(body, runtime.policy), body)
            counted.model = getattr(parsed, "model", None)
            counted.images = count_images(parsed)
            cost = Cost(1, estimate_image_bytes(len(body), counted.images))
            del body
            end_arrival(request)
            with runtime.metrics.stage("queue"):
                permit = await runtime.admission.acquire(tenant.queue_key, cost, request.client)
            with permit:
                yield parsed


@contextmanager
def _count(runtime: Runtime, request: Request, tenant: Tenant) -> Iterator[Counted]:
    """Count the request in metrics and the usage log: it used no tokens."""
    endpoint, started = route_path(request.scope), time.perf_counter()
    counted = Counted()
    try:
        with count_outcome(runtime.metrics, endpoint, counted):
            yield counted
    finally:
        usage = Usage(
            id=getattr(request.state, "request_id", ""),
            key=tenant.key_name,
            model=counted.model,
            endpoint=endpoint,
            status=counted.status,
            outcome=counted.outcome,
            images=counted.images,
            seconds=round(time.perf_counter() - started, 4),
        )
        runtime.report_usage(usage)


def end_arrival(request: Request) -> None:
    """Give back the place that the gate kept for the body, now that it is there."""
    arrival: Arrival | None = getattr(request.state, "arrival", None)
    if arrival is not None:
        arrival.release()
