"""Responses as clients get them: one object, or server-sent events."""

from collections.abc import AsyncIterator
from itertools import count

from server.errors import UNFORESEEN, ApiError
from server.generation import Generation
from server.logs import get_logger
from server.protocol.responses.answer import ResponseObject
from server.protocol.responses.events import Event, ResponseEvent
from server.record import RequestRecord
from server.responses.frame import Frame
from server.responses.output import Output

log = get_logger(__name__)


async def whole_response(
    generation: Generation, frame: Frame, record: RequestRecord
) -> ResponseObject:
    """Collect the whole response."""
    output = Output()
    async for delta in generation:
        for _ in output.read(delta):
            pass  # the events are for streams
    record.complete()
    return frame.ended(output)


async def response_events(
    generation: Generation, frame: Frame, record: RequestRecord
) -> AsyncIterator[bytes]:
    """Yield the response as server-sent events; the last one holds it whole.

    After an error, that is `response.failed` with what was whole before.
    """
    numbers = count()
    async for event in _events(generation, frame, record):
        event.sequence_number = next(numbers)
        # Escaped to ASCII, since some clients take U+2028 for the end of a line.
        data = event.model_dump_json(by_alias=True, ensure_ascii=True)
        yield f"event: {event.type}\ndata: {data}\n\n".encode()


async def _events(
    generation: Generation, frame: Frame, record: RequestRecord
) -> AsyncIterator[Event]:
    yield ResponseEvent(type="response.created", response=frame.begun())
    yield ResponseEvent(type="response.in_progress", response=frame.begun())
    output = Output()
    try:
        async for delta in generation:
            for event in output.read(delta):
                yield event
    except ApiError as error:
        yield _failed(frame, output, error, record)
        return
    except Exception:
        log.exception("a stream broke", id=record.request_id)
        yield _failed(frame, output, ApiError(UNFORESEEN), record)
        return
    record.complete()
    if output.finish_reason == "length":
        yield ResponseEvent(type="response.incomplete", response=frame.ended(output))
    else:
        yield ResponseEvent(type="response.completed", response=frame.ended(output))


def _failed(frame: Frame, output: Output, error: ApiError, record: RequestRecord) -> ResponseEvent:
    record.failed(error)
    return ResponseEvent(type="response.failed", response=frame.failed(output, error))
