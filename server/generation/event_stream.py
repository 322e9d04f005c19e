"""Server-sent events: their format, and the last event of a stream."""

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from server.errors import INTERNAL_ERROR_MESSAGE, ApiError
from server.telemetry.logs import get_logger
from server.telemetry.request_record import RequestRecord

log = get_logger(__name__)

EventT = TypeVar("EventT")


def format_event(data: str, name: str | None = None) -> bytes:
    """Return one server-sent event; `name` becomes its `event:` field."""
    field = "" if name is None else f"event: {name}\n"
    return f"{field}data: {data}\n\n".encode()


async def end_stream(
    events: AsyncIterator[EventT],
    record: RequestRecord,
    *,
    build_end: Callable[[], EventT],
    build_error: Callable[[ApiError], EventT],
) -> AsyncIterator[EventT]:
    """Yield the events, then exactly one more: `build_end()`, or `build_error(error)`.

    An exception other than `ApiError` is logged and sent as `internal_error`. The record gets the
    outcome before the last event is yielded, since a client may disconnect as soon as it has that.
    """
    try:
        async for event in events:
            yield event
    except ApiError as error:
        record.mark_failed(error)
        yield build_error(error)
        return
    except Exception:
        log.exception("a stream broke", id=record.request_id)
        internal_error = ApiError(INTERNAL_ERROR_MESSAGE)
        record.mark_failed(internal_error)
        yield build_error(internal_error)
        return
    record.mark_complete()
    yield build_end()
