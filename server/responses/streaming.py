"""Responses as clients get them: one object, or server-sent events."""

from collections.abc import AsyncIterator
from itertools import count

from server.errors import ApiError
from server.generation.event_stream import end_stream, format_event
from server.generation.generation import Generation
from server.protocol.responses.events import Event, ResponseEvent
from server.protocol.responses.response import ResponseObject
from server.responses.output_reader import OutputReader
from server.responses.response_builder import ResponseBuilder
from server.telemetry.request_record import RequestRecord


async def collect_response(
    generation: Generation, builder: ResponseBuilder, record: RequestRecord
) -> ResponseObject:
    """Collect the whole response."""
    output = OutputReader()
    async for delta in generation:
        for _ in output.read(delta):
            pass  # the events are for streams
    record.complete()
    return builder.ended(output)


async def stream_response(
    generation: Generation, builder: ResponseBuilder, record: RequestRecord
) -> AsyncIterator[bytes]:
    """Yield the response as server-sent events; the last one holds it whole.

    After an error, that is `response.failed` with what was whole before.
    """
    output = OutputReader()

    def complete() -> ResponseEvent:
        is_cut = output.finish_reason == "length"
        return ResponseEvent(
            type="response.incomplete" if is_cut else "response.completed",
            response=builder.ended(output),
        )

    def fail(error: ApiError) -> ResponseEvent:
        return ResponseEvent(type="response.failed", response=builder.failed(output, error))

    events = _events(generation, builder, output)
    numbers = count()
    async for event in end_stream(events, record, complete=complete, fail=fail):
        event.sequence_number = next(numbers)
        # Escaped to ASCII, since some clients take U+2028 for the end of a line.
        data = event.model_dump_json(by_alias=True, ensure_ascii=True)
        yield format_event(data, event.type)


async def _events(
    generation: Generation, builder: ResponseBuilder, output: OutputReader
) -> AsyncIterator[Event]:
    yield ResponseEvent(type="response.created", response=builder.begun())
    yield ResponseEvent(type="response.in_progress", response=builder.begun())
    async for delta in generation:
        for event in output.read(delta):
            yield event
