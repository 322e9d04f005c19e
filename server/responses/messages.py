"""Translates input items into chat messages."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from server.protocol.chat.messages import (
    ContentPart,
    ImagePart,
    ImageUrl,
    Message,
    RefusalPart,
    TextPart,
)
from server.protocol.responses.content import InputImage, InputPart, InputText
from server.protocol.responses.items import FunctionCallOutput, InputFunctionCall, InputMessage
from server.protocol.responses.request import ResponsesRequest
from server.protocol.tools import CalledFunction, ToolCall


@dataclass(frozen=True, slots=True)
class TranslatedMessages:
    """Chat messages, and the path of the field that each comes from."""

    messages: list[Message] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)

    def add(self, message: Message, origin: str) -> None:
        """Append a message."""
        self.messages.append(message)
        self.origins.append(origin)

    def add_call(self, call: ToolCall, origin: str) -> None:
        """Append a call to the last message if it is the assistant's, else as a new message."""
        last = self.messages[-1] if self.messages else None
        if last is None or last.role != "assistant":
            self.add(Message(role="assistant", tool_calls=[call]), origin)
        elif last.tool_calls is None:
            self.messages[-1] = last.model_copy(update={"tool_calls": [call]})
        else:
            last.tool_calls.append(call)


def translate_input(request: ResponsesRequest) -> TranslatedMessages:
    """Translate the instructions and the input; reasoning items are dropped."""
    result = TranslatedMessages()
    if request.instructions is not None:
        result.add(Message(role="system", content=request.instructions), "instructions")
    if isinstance(request.input, str):
        result.add(Message(role="user", content=request.input), "input")
        return result
    for index, item in enumerate(request.input):
        origin = f"input[{index}]"
        if isinstance(item, InputMessage):
            result.add(Message(role=item.role, content=_translate_content(item.content)), origin)
        elif isinstance(item, InputFunctionCall):
            result.add_call(_translate_call(item), origin)
        elif isinstance(item, FunctionCallOutput):
            content = _translate_content(item.output)
            result.add(Message(role="tool", content=content, tool_call_id=item.call_id), origin)
    return result


def _translate_call(item: InputFunctionCall) -> ToolCall:
    function = CalledFunction(name=item.name, arguments=item.arguments)
    return ToolCall(id=item.call_id, function=function)


def _translate_content(
    content: str | Sequence[InputPart] | None,
) -> str | list[ContentPart] | None:
    if content is None or isinstance(content, str):
        return content
    return list(_translate_parts(content))


def _translate_parts(parts: Iterable[InputPart]) -> Iterable[ContentPart]:
    """Yield one part for each item, so that the indices in error paths stay right."""
    for part in parts:
        if isinstance(part, InputText):
            yield TextPart(type="text", text=part.text)
        elif isinstance(part, InputImage):
            yield _translate_image(part)
        else:
            yield RefusalPart(type="refusal", refusal=part.refusal)


def _translate_image(part: InputImage) -> ImagePart:
    image_url = ImageUrl(url=part.image_url, detail=part.detail)
    # Validation would take it for a client's part and lose the field's path.
    return ImagePart.model_construct(type="image_url", image_url=image_url).at(part.field)
