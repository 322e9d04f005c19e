"""Events of a streamed response, numbered from 0."""

from typing import Literal

from pydantic import BaseModel, RootModel

from server.protocol.chat.response import ChatTokenLogprob
from server.protocol.responses.response import OutputItem, OutputText, ResponseObject


class Event(BaseModel):
    """Base of events; `sequence_number` is set when the event is sent."""

    type: str
    sequence_number: int = 0


class ResponseEvent(Event):
    """An event at the start or the end of a response."""

    type: Literal[
        "response.created",
        "response.in_progress",
        "response.completed",
        "response.incomplete",
        "response.failed",
    ]
    response: ResponseObject


class ItemEvent(Event):
    """An output item starts or ends."""

    type: Literal["response.output_item.added", "response.output_item.done"]
    output_index: int
    item: OutputItem


class PartEvent(Event):
    """The text part of a message starts or ends."""

    type: Literal["response.content_part.added", "response.content_part.done"]
    item_id: str
    output_index: int
    content_index: Literal[0] = 0
    part: OutputText


class TextDelta(Event):
    """Text to append."""

    type: Literal["response.output_text.delta"] = "response.output_text.delta"
    item_id: str
    output_index: int
    content_index: Literal[0] = 0
    delta: str
    logprobs: list[ChatTokenLogprob]


class TextDone(Event):
    """The complete text."""

    type: Literal["response.output_text.done"] = "response.output_text.done"
    item_id: str
    output_index: int
    content_index: Literal[0] = 0
    text: str
    logprobs: list[ChatTokenLogprob]


class ArgumentsDelta(Event):
    """JSON text to append to a call's arguments."""

    type: Literal["response.function_call_arguments.delta"] = (
        "response.function_call_arguments.delta"
    )
    item_id: str
    output_index: int
    delta: str


class ArgumentsDone(Event):
    """The complete arguments."""

    type: Literal["response.function_call_arguments.done"] = "response.function_call_arguments.done"
    item_id: str
    output_index: int
    name: str
    arguments: str


AnyEvent = (
    ResponseEvent | ItemEvent | PartEvent | TextDelta | TextDone | ArgumentsDelta | ArgumentsDone
)


class ResponseStreamEvent(RootModel[AnyEvent]):
    """Any event of a stream, distinguished by `type`."""
