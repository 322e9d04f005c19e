"""A generation as one message, or as a stream of its events."""

from collections.abc import AsyncIterator

from server.errors import ApiError
from server.generation.event_stream import end_stream, format_event
from server.generation.generation import Generation
from server.messages.content_writer import ContentWriter
from server.messages.message_builder import MessageBuilder
from server.protocol.messages.errors import build_messages_error
from server.protocol.messages.events import (
    AnyEvent,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
)
from server.protocol.messages.response import ResponseMessage
from server.telemetry.request_record import RequestRecord


async def collect_message(
    generation: Generation, builder: MessageBuilder, record: RequestRecord
) -> ResponseMessage:
    """Read the generation to its end and return the message."""
    content = ContentWriter()
    async for delta in generation:
        for _ in content.write(delta):
            pass  # only streams send the events
    record.mark_complete()
    return builder.build_complete(content)


async def stream_message(
    generation: Generation, builder: MessageBuilder, record: RequestRecord
) -> AsyncIterator[bytes]:
    """Yield the message as server-sent events; an error is the last event."""

    def build_error(error: ApiError) -> AnyEvent:
        return build_messages_error(error, record.http_request_id)

    events = _write_events(generation, builder)
    async for event in end_stream(events, record, build_end=MessageStop, build_error=build_error):
        # Escaped to ASCII, since some clients treat U+2028 as a line break.
        yield format_event(event.model_dump_json(ensure_ascii=True), event.type)


async def _write_events(generation: Generation, builder: MessageBuilder) -> AsyncIterator[AnyEvent]:
    content = ContentWriter()
    yield MessageStart(message=builder.build_start())
    yield Ping()
    async for delta in generation:
        for event in content.write(delta):
            yield event
    yield MessageDelta(delta=builder.build_stop(content), usage=builder.build_usage())
