"""Server-sent events: how one is written, and how a stream of them ends."""

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from server.errors import UNFORESEEN, ApiError
from server.telemetry.logs import get_logger
from server.telemetry.request_record import RequestRecord

log = get_logger(__name__)

Event = TypeVar("Event")


def format_event(data: str, name: str | None = None) -> bytes:
    """Return one server-sent event; `name` becomes its `event:` field."""
    field = "" if name is None else f"event: {name}\n"
    return f"{field}data: {data}\n\n".encode()


async def end_stream(
    events: AsyncIterator[Event],
    record: RequestRecord,
    *,
    complete: Callable[[], Event],
    fail: Callable[[ApiError], Event],
) -> AsyncIterator[Event]:
    """Yield the events, then exactly one more: `complete()`, or `fail(error)` after an error.

    An exception that is no `ApiError` is logged and told as `internal_error`. The record learns
    the outcome before the last event is yielded, since a client may leave as soon as it has it.
    """
    try:
        async for event in events:
            yield event
    except ApiError as error:
        record.failed(error)
        yield fail(error)
        return
    except Exception:
        log.exception("a stream broke", id=record.request_id)
        unforeseen = ApiError(UNFORESEEN)
        record.failed(unforeseen)
        yield fail(unforeseen)
        return
    record.complete()
    yield complete()
