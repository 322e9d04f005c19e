"""A generation as one response object, or as a stream of its events."""

from collections.abc import AsyncIterator
from itertools import count

from server.errors import ApiError
from server.generation.event_stream import end_stream, format_event
from server.generation.generation import Generation
from server.protocol.responses.events import Event, ResponseEvent
from server.protocol.responses.response import ResponseObject
from server.responses.logprobs import dump_event, format_response
from server.responses.output_writer import OutputWriter
from server.responses.response_builder import ResponseBuilder
from server.telemetry.request_record import RequestRecord


async def collect_response(
    generation: Generation, builder: ResponseBuilder, record: RequestRecord
) -> ResponseObject:
    """Read the generation to its end and return the response."""
    output = OutputWriter()
    async for delta in generation:
        for _ in output.write(delta):
            pass  # only streams send the events
    record.mark_complete()
    return await format_response(builder.build_finished(output), output.logprobs)


async def stream_response(
    generation: Generation, builder: ResponseBuilder, record: RequestRecord
) -> AsyncIterator[bytes]:
    """Yield the response as server-sent events; the last one has the complete response.

    After an error, that is `response.failed` with the items that ended before it.
    """
    output = OutputWriter()

    def build_end() -> ResponseEvent:
        is_incomplete = output.finish_reason == "length"
        return ResponseEvent(
            type="response.incomplete" if is_incomplete else "response.completed",
            response=builder.build_finished(output),
        )

    def build_error(error: ApiError) -> ResponseEvent:
        return ResponseEvent(type="response.failed", response=builder.build_failed(output, error))

    events = _write_events(generation, builder, output)
    numbers = count()
    async for event in end_stream(events, record, build_end=build_end, build_error=build_error):
        event.sequence_number = next(numbers)
        yield format_event(await dump_event(event, output.logprobs), event.type)


async def _write_events(
    generation: Generation, builder: ResponseBuilder, output: OutputWriter
) -> AsyncIterator[Event]:
    yield ResponseEvent(type="response.created", response=builder.build_in_progress())
    yield ResponseEvent(type="response.in_progress", response=builder.build_in_progress())
    async for delta in generation:
        for event in output.write(delta):
            yield event
