"""Events of a streamed message."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, RootModel

from server.protocol.messages.errors import MessagesErrorResponse
from server.protocol.messages.response import (
    MessageUsage,
    OutputBlock,
    ResponseMessage,
    StopReason,
)


class MessageStart(BaseModel):
    """The message, still without content."""

    type: Literal["message_start"] = "message_start"
    message: ResponseMessage


class Ping(BaseModel):
    """Nothing: it shows that the connection works."""

    type: Literal["ping"] = "ping"


class ContentBlockStart(BaseModel):
    """A block begins, empty."""

    type: Literal["content_block_start"] = "content_block_start"
    index: int
    content_block: OutputBlock


class TextDelta(BaseModel):
    """Text to append."""

    type: Literal["text_delta"] = "text_delta"
    text: str


class InputJsonDelta(BaseModel):
    """JSON text to append to a call's input."""

    type: Literal["input_json_delta"] = "input_json_delta"
    partial_json: str


class ContentBlockDelta(BaseModel):
    """A block grows."""

    type: Literal["content_block_delta"] = "content_block_delta"
    index: int
    delta: Annotated[TextDelta | InputJsonDelta, Field(discriminator="type")]


class ContentBlockStop(BaseModel):
    """A block is complete."""

    type: Literal["content_block_stop"] = "content_block_stop"
    index: int


class Stop(BaseModel):
    """Why the message ends."""

    stop_reason: StopReason
    stop_sequence: str | None


class MessageDelta(BaseModel):
    """All content is sent."""

    type: Literal["message_delta"] = "message_delta"
    delta: Stop
    usage: MessageUsage


class MessageStop(BaseModel):
    """The stream ends."""

    type: Literal["message_stop"] = "message_stop"


AnyEvent = (
    MessageStart
    | Ping
    | ContentBlockStart
    | ContentBlockDelta
    | ContentBlockStop
    | MessageDelta
    | MessageStop
    | MessagesErrorResponse
)


class MessageStreamEvent(RootModel[AnyEvent]):
    """Any event of a stream, distinguished by `type`."""
